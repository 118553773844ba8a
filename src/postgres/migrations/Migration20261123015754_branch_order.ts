import { Migration } from '@mikro-orm/migrations';

export class Migration20261123015754_branch_order extends Migration {

  override name = 'Migration20261123015754_branch_order';

  override up(): void | Promise<void> {
    this.addSql(`alter table "messages" add "depth" int not null default 1, add "jump_id" uuid null, add "jump_depth" int not null default 0;`);
    // What is there already jumps no further than to its parent: slower to read, but right.
    this.addSql(`
      with recursive tree as (
        select id, conversation_id, 1 as depth from messages where parent_id is null
        union all
        select child.id, child.conversation_id, tree.depth + 1 from tree
          join messages child
            on child.conversation_id = tree.conversation_id and child.parent_id = tree.id
      )
      update messages set depth = tree.depth, jump_id = parent_id, jump_depth = tree.depth - 1
      from tree where tree.id = messages.id;
    `);
    this.addSql(`alter table "messages" alter column "depth" drop default, alter column "jump_depth" drop default;`);
  }

  override down(): void | Promise<void> {
    this.addSql(`alter table "messages" drop column "depth", drop column "jump_id", drop column "jump_depth";`);
  }

}
