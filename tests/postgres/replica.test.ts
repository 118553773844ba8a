/** Reads on a streaming standby. */
import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { entities } from "../../src/entities.ts";
import { createPostgres, type Postgres } from "../../src/postgres/postgres.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { connectClients } from "../support/clients.ts";
import { until } from "../support/eventually.ts";
import { startReplicatedPostgres, type ReplicatedPostgres } from "../support/standby.ts";

let servers: ReplicatedPostgres;
let postgres: Postgres;
let app: TestApp;
/** A connection to the standby, to hold it up. */
let standby: Postgres;
const warnings: string[] = [];

beforeAll(async () => {
  servers = await startReplicatedPostgres();
  const replicaUrls = [servers.standbyUrl];
  const warn = (message: string) => void warnings.push(message);
  postgres = await createPostgres({ url: servers.primaryUrl, replicaUrls, entities, warn });
  standby = await createPostgres({ url: servers.standbyUrl, entities });
  app = await startApp({
    DATABASE_URL: servers.primaryUrl,
    DATABASE_REPLICA_URLS: servers.standbyUrl,
  });
});
afterAll(async () => {
  await app?.close();
  await Promise.all([postgres?.close(), standby?.close()]);
  await servers?.close();
});

const where = {
  name: "test_where",
  text: "select pg_is_in_recovery() and $1::uuid is not null, (select count(*)::int from users where id = $1)",
};

async function write(): Promise<string> {
  const id = randomUUIDv7();
  await postgres.work((em) => em.execute("insert into users (id, role) values (?, 'user')", [id]));
  return id;
}

/** Whether the standby answered, and whether it knew the user. */
async function read(id: string) {
  const [row] = await postgres.read<[boolean, number]>(where, [id]);
  return { fromStandby: row?.[0], found: row?.[1] };
}

test("whoever has just written reads it, and mostly from the standby", async () => {
  const answers = [];
  for (let round = 0; round < 40; round += 1) answers.push(await read(await write()));
  expect(answers.every(({ found }) => found === 1)).toBe(true);
  expect(answers.filter(({ fromStandby }) => fromStandby).length).toBeGreaterThan(20);
  const [row] = await postgres.query<[boolean, number]>(where, [await write()]);
  expect(row).toEqual([false, 1]);
});

test("a read that its caller leaves ends on the standby too", async () => {
  const sleep = { name: "test_sleep", text: "select pg_sleep(60)::text" };
  const leaving = new AbortController();
  const reading = postgres.read(sleep, [], leaving.signal).catch((error: unknown) => error);
  const sleepers = () =>
    standby.query<[number]>(
      {
        name: "test_sleepers",
        text: "select pid from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()",
      },
      [],
    );
  await until(async () => (await sleepers()).length === 1);
  leaving.abort();
  expect(await reading).toBeInstanceOf(Error);
  await until(async () => (await sleepers()).length === 0);
});

test("a service with a standby shows a turn as soon as it has answered", async () => {
  const { chat, conversations } = connectClients(app);
  for (let round = 0; round < 3; round += 1) {
    const turn = await chat.sendMessage({
      content: [{ part: { case: "text", value: `Round ${round}` } }],
    });
    const { conversationId } = turn;
    const listed = await conversations.listMessages({ conversationId });
    expect(listed.messages.map(({ messageId }) => messageId)).toEqual([
      turn.userMessage?.messageId,
      turn.assistantMessage?.messageId,
    ]);
  }
});

test("a standby that lags is not asked", async () => {
  await standby.work((em) => em.execute("select pg_wal_replay_pause()"));
  expect(await read(await write())).toEqual({ fromStandby: false, found: 1 });
  await standby.work((em) => em.execute("select pg_wal_replay_resume()"));
  const id = await write();
  await until(async () => (await read(id)).fromStandby === true);
});

test("without the standby the primary answers, and it is said once in a while", async () => {
  await standby.close();
  await servers.stopStandby();
  for (let round = 0; round < 5; round += 1)
    expect(await read(await write())).toEqual({ fromStandby: false, found: 1 });
  expect(warnings.filter((warning) => warning.startsWith("replica: ")).length).toBeGreaterThan(0);
});
