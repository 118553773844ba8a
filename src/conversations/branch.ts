/**
 * How a branch is read in pages that cost the same wherever they are. A branch is a
 * chain of parents, so its beginning is far from its leaf. Beside its parent, each
 * message therefore knows its depth and one ancestor further up, its jump, chosen so
 * that any ancestor is reached in a logarithmic number of steps. See Eugene W. Myers,
 * "An applicative random-access stack", Information Processing Letters 17 (1983).
 */

/** The columns that `branchPosition` fills. */
export const branchColumns = "depth, jump_id, jump_depth";

/**
 * SQL for the values of `branchColumns`, where `parent` is the row of the parent and
 * `jump` that of the parent's jump; both may be missing (outer joins).
 */
export const branchPosition = `
  coalesce(parent.depth, 0) + 1,
  case when parent.depth - parent.jump_depth = parent.jump_depth - jump.jump_depth
    then jump.jump_id else parent.id end,
  case when parent.depth - parent.jump_depth = parent.jump_depth - jump.jump_depth
    then jump.jump_depth else coalesce(parent.depth, 0) end`;

/**
 * SQL for a recursive query's `ancestor (id, parent_id, jump_id, depth, jump_depth)`:
 * the way from the message `leaf` up to its ancestor at `depth`.
 */
export function ancestorAt(leaf: string, depth: string): string {
  return `
    select id, parent_id, jump_id, depth, jump_depth from messages where id = ${leaf}
    union all
    select step.* from ancestor, lateral (
      select id, parent_id, jump_id, depth, jump_depth from messages
      where id = case when ancestor.jump_depth >= ${depth}
        then ancestor.jump_id else ancestor.parent_id end
      limit 1
    ) step
    where ancestor.depth > ${depth}`;
}
