import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTrail } from "../../src/audit/trail.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { openAudit, writeEvent } from "./events.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

/** What nobody but a superuser who disables the triggers can do. */
async function tamper(...statements: string[]) {
  const tables = ["audit_events", "audit_links", "audit_head"];
  for (const table of tables) await database.sql(`alter table ${table} disable trigger all`);
  for (const statement of statements) await database.sql(statement);
  for (const table of tables) await database.sql(`alter table ${table} enable trigger all`);
}

describe("the chain", () => {
  beforeEach(async () => {
    await tamper(
      "truncate audit_events, audit_links, audit_details, audit_pending",
      "delete from audit_head",
    );
  });

  test("gives concurrent events of two processes places without gaps, and verifies", async () => {
    const [first, second] = [openAudit(database.postgres), openAudit(database.postgres)];
    await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const audit = index % 2 === 0 ? first : second;
        await writeEvent(audit);
        if (index % 20 === 0) await audit.verify();
      }),
    );
    expect(await first.verify()).toEqual({ checked: 60, fault: undefined });
    const rows = await database.sql<{ sequence: string }>(
      "select sequence from audit_links order by 1",
    );
    expect(rows.map(({ sequence }) => Number(sequence))).toEqual(
      Array.from({ length: 60 }, (_, index) => index + 1),
    );
    await Promise.all([first.close(), second.close()]);
  });

  test("has an event if and only if its change is committed", async () => {
    const audit = openAudit(database.postgres);
    const { orm } = database.postgres;
    await orm.em.fork().transactional(async (em) => audit.record(em, createTrail("test.kept")));
    await expect(
      orm.em.fork().transactional(async (em) => {
        await audit.record(em, createTrail("test.lost"));
        throw new Error("rolled back");
      }),
    ).rejects.toThrow("rolled back");
    expect(await audit.verify()).toEqual({ checked: 1, fault: undefined });
    expect(await database.sql("select action from audit_events")).toEqual([
      { action: "test.kept" },
    ]);
    await audit.close();
  });

  const edited = /was changed or moved/;
  test.each([
    ["an edited action", "update audit_events set action = 'test.other' where id = $3", 3, edited],
    ["an edited outcome", "update audit_events set outcome = 'x' where id = $1", 1, edited],
    [
      "an edited user",
      `update audit_events set user_id = '${randomUUIDv7()}' where id = $5`,
      5,
      edited,
    ],
    [
      "an edited time",
      "update audit_events set create_time = create_time + interval '1 ms' where id = $2",
      2,
      edited,
    ],
    [
      "edited details",
      "update audit_details set address = '192.0.2.8' where event_id = $4",
      4,
      /details .* were changed/,
    ],
    [
      "removed details",
      "delete from audit_details where event_id = $4",
      4,
      /details .* were removed/,
    ],
    ["a removed event", "delete from audit_events where id = $2", 2, /was removed/],
    ["the last event removed", "delete from audit_events where id = $5", 5, /was removed/],
    ["a removed link", "delete from audit_links where event_id = $2", 2, /event 2 was removed/],
    [
      "the last link removed",
      "delete from audit_links where event_id = $5",
      5,
      /event 5 was removed/,
    ],
    [
      "an event removed with its link",
      "delete from audit_events where id = $4; delete from audit_links where event_id = $4",
      4,
      /event 4 was removed/,
    ],
    [
      "the end cut off",
      "delete from audit_events where id in ($4, $5); delete from audit_links where sequence > 3",
      4,
      /events 4 to 5 were removed/,
    ],
    [
      "the end cut off and the head set back",
      "delete from audit_events where id = $5; delete from audit_links where sequence = 5;" +
        "update audit_head set sequence = 4, hash = (select hash from audit_links where sequence = 4)",
      4,
      /seal of the log's end was changed/,
    ],
    [
      "two events swapped",
      "update audit_links set event_id = case event_id when $2 then $3::uuid else $2::uuid end where event_id in ($2, $3)",
      2,
      edited,
    ],
    [
      "two links swapped",
      "update audit_links set sequence = case sequence when 2 then 3 else 2 end where sequence in (2, 3)",
      2,
      /does not follow/,
    ],
    [
      "a gap closed by moving up",
      "delete from audit_links where sequence = 2; update audit_links set sequence = sequence - 1 where sequence > 2",
      2,
      /does not follow/,
    ],
    [
      "an event slipped in",
      `insert into audit_events select '${randomUUIDv7()}', create_time, user_id, api_key_id, action, resource, outcome, request_id, details_digest from audit_events where id = $1`,
      6,
      /slipped in/,
    ],
    ["the head removed", "delete from audit_head", 5, /seal .* was removed/],
    [
      "everything but the head removed",
      "truncate audit_events, audit_links",
      1,
      /events 1 to 5 were removed/,
    ],
  ])("finds %s", async (_, statements, sequence, problem) => {
    const audit = openAudit(database.postgres);
    for (let count = 0; count < 5; count += 1) await writeEvent(audit);
    expect(await audit.verify()).toEqual({ checked: 5, fault: undefined });
    const ids = await database.sql<{ event_id: string }>(
      "select event_id from audit_links order by sequence",
    );
    // The superuser may write the key's name but does not have the key.
    await tamper(
      ...statements
        .replace(/\$(\d)/g, (_, place: string) => `'${ids[Number(place) - 1]?.event_id}'`)
        .split(";")
        .flatMap((statement) =>
          statement.includes("set sequence")
            ? [
                "alter table audit_links drop constraint audit_links_pkey",
                statement,
                "alter table audit_links add primary key (sequence)",
              ]
            : statement.includes("set event_id")
              ? [
                  "alter table audit_links drop constraint audit_links_event_unique",
                  statement,
                  "alter table audit_links add constraint audit_links_event_unique unique (event_id)",
                ]
              : [statement],
        ),
    );
    const { fault } = await audit.verify();
    expect(fault?.sequence).toBe(sequence);
    expect(fault?.problem).toMatch(problem);
    await audit.close();
  });

  test("is not to be computed anew by whoever has only the database", async () => {
    const forger = openAudit(database.postgres, ["another secret, of somebody else's"]);
    await writeEvent(forger);
    await forger.verify();
    const audit = openAudit(database.postgres);
    expect((await audit.verify()).fault?.problem).toMatch(/no secret is known for key/);
    await Promise.all([forger.close(), audit.close()]);
  });

  test("goes on under a new secret while the old one is still in the ring", async () => {
    const before = openAudit(database.postgres);
    await writeEvent(before);
    await before.close();
    const after = openAudit(database.postgres, [
      "a new secret of 32 bytes or more",
      "0123456789abcdef0123456789abcdef",
    ]);
    await writeEvent(after);
    expect(await after.verify()).toEqual({ checked: 2, fault: undefined });
    await after.close();
  });

  test("still verifies when a user's details were erased, or old ones have expired", async () => {
    const audit = openAudit(database.postgres);
    const userId = randomUUIDv7();
    await writeEvent(audit, { userId });
    await writeEvent(audit);
    await database.postgres.work((em) =>
      em.transactional(async (em) => {
        await audit.eraseDetails(em, userId);
        await audit.record(
          em,
          createTrail("identity.user.delete", undefined, { resource: `user/${userId}` }),
        );
      }),
    );
    expect(await audit.verify()).toEqual({ checked: 3, fault: undefined });
    expect(await audit.expireDetails(new Date(Date.now() + 1000))).toBe(1);
    expect(await audit.verify()).toEqual({ checked: 4, fault: undefined });
    expect(await database.sql("select count(*)::int as count from audit_details")).toEqual([
      { count: 0 },
    ]);
    await audit.close();
  });
});

test("nobody changes an event: not the owner of the tables, and not a superuser by mistake", async () => {
  const audit = openAudit(database.postgres);
  await writeEvent(audit);
  await audit.close();
  for (const statement of [
    "update audit_events set outcome = 'x'",
    "delete from audit_events",
    "truncate audit_events",
    "update audit_links set hash = '\\x00'",
    "delete from audit_links",
    "truncate audit_links",
    "delete from audit_head",
  ]) {
    await expect(database.sql(statement)).rejects.toThrow(/the audit log only grows/);
  }
});
