import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { entities } from "../../src/entities.ts";
import { DomainError } from "../../src/errors.ts";
import { createPostgres, type Postgres } from "../../src/postgres/postgres.ts";
import type { PostgresOptions } from "../../src/postgres/orm.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { createWay, type Way } from "../support/way.ts";

let database: TestDatabase;
const opened: Postgres[] = [];
const servers: Server[] = [];
const ways: Way[] = [];

beforeAll(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((postgres) => postgres.close()));
  for (const server of servers.splice(0)) server.close();
  await Promise.all(ways.splice(0).map((way) => way.close()));
});
afterAll(() => database.close());

const one = { name: "test_one", text: "select 1::text" };
const echo = { name: "test_echo", text: "select $1::text, $2::int, $3::bytea" };
const sleep = { name: "test_sleep", text: "select pg_sleep($1::float8)::text" };
const broken = { name: "test_broken", text: "select 1 / ($1::int)" };

async function open(options: Partial<PostgresOptions>) {
  const postgres = await createPostgres({ url: database.url, entities, ...options });
  opened.push(postgres);
  return postgres;
}

async function wayToDatabase() {
  const way = await createWay(database.url);
  ways.push(way);
  return way;
}

/** A server on a free port of the loopback. */
async function listen(onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => socket.destroy()));
    onConnection(socket);
  });
  servers.push(server.on("close", () => sockets.forEach((socket) => socket.destroy())));
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

/** Every way to ask, and what each says. */
async function failures(postgres: Postgres, statement = one, values: unknown[] = []) {
  const asked = [
    postgres.run(statement, values),
    postgres.query(statement, values),
    postgres.work((em) => em.execute(statement.text.replace("$1", "?"), values)),
  ];
  return (await Promise.allSettled(asked)).map((result) =>
    result.status === "rejected" ? result.reason : result.value,
  );
}

/** Statements of others that contain this text. */
const othersRunning = (text: string) =>
  database.sql(
    `select pid from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
       and query like '%${text}%'`,
  );

/** What a call fails with. */
const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

/** What a call fails with when the database is not there. */
const unavailable = expect.objectContaining({
  code: "UNAVAILABLE",
  reason: "DATABASE_UNAVAILABLE",
  retryAfterSeconds: 1,
});
const allUnavailable = [unavailable, unavailable, unavailable];
const allOne = [[["1"]], [["1"]], [{ text: "1" }]];

describe("without a database", () => {
  test("every call is UNAVAILABLE", async () => {
    const port = await listen((socket) => socket.destroy());
    servers.pop()?.close();
    const postgres = await open({ url: `postgres://tribe:x@127.0.0.1:${port}/x` });
    expect(await failures(postgres)).toEqual(allUnavailable);
    expect(await failureOf(postgres.ping())).toEqual(unavailable);
  });

  test("a server that says nothing is given up after the connect timeout", async () => {
    const port = await listen(() => {});
    const url = `postgres://tribe:x@127.0.0.1:${port}/x`;
    const postgres = await open({ url, connectTimeoutMs: 100 });
    expect(await failures(postgres)).toEqual(allUnavailable);
    const patient = await open({ url, connectTimeoutMs: 60_000 });
    expect(await failureOf(patient.ping(50))).toEqual(unavailable);
    servers.pop()?.close();
  });

  test("a server that falls silent is given up after the statement timeout", async () => {
    const way = await wayToDatabase();
    const postgres = await open({ url: way.url, statementTimeoutMs: 1000, silenceMs: 60_000 });
    expect(await failures(postgres)).toEqual(allOne);
    await postgres.ping();
    way.silence();
    expect(await failureOf(postgres.ping(50))).toEqual(unavailable);
    expect(await failures(postgres)).toEqual(allUnavailable);
    way.open();
    expect(await failures(postgres)).toEqual(allOne);
  });

  test("nobody waits for a server that falls silent, long statements or not", async () => {
    const way = await wayToDatabase();
    const postgres = await open({ url: way.url, statementTimeoutMs: 600_000, silenceMs: 300 });
    expect(await failures(postgres)).toEqual(allOne);
    way.silence();
    expect(await failures(postgres)).toEqual(allUnavailable);
    // Known to be away, it is not even asked.
    expect(await failures(postgres, sleep, [60])).toEqual(allUnavailable);
    expect((await othersRunning("pg_sleep")).length).toBe(0);
    way.open();
    await expect.poll(() => failures(postgres)).toEqual(allOne);
  });

  test("connections that are cut are made anew", async () => {
    const way = await wayToDatabase();
    const postgres = await open({ url: way.url });
    expect(await failures(postgres)).toEqual(allOne);
    way.cut();
    expect(await failures(postgres)).toEqual(allUnavailable);
    way.open();
    await expect.poll(() => failures(postgres)).toEqual(allOne);
  });

  test("it is back when the server is", async () => {
    const postgres = await open({});
    const running = failures(postgres, sleep, [60]);
    await expect
      .poll(async () => (await othersRunning("pg_sleep")).length, { timeout: 10_000 })
      .toBe(3);
    await database.sql(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
    expect(await running).toEqual(allUnavailable);
    await expect.poll(() => failures(postgres)).toEqual(allOne);
  });
});

describe("with a database", () => {
  test("a statement that takes too long is UNAVAILABLE, and others go on", async () => {
    const postgres = await open({ statementTimeoutMs: 1000 });
    const failed = failures(postgres, sleep, [60]);
    expect(await postgres.run(one, [])).toEqual([["1"]]);
    expect(await failed).toEqual(allUnavailable);
    expect(await postgres.run(one, [])).toEqual([["1"]]);
  });

  test("a query is cancelled when nobody waits for it, and nothing else is", async () => {
    const postgres = await open({ poolSize: 1 });
    const leaving = new AbortController();
    const asked = failureOf(postgres.query(sleep, [60], leaving.signal));
    await expect.poll(async () => (await othersRunning("pg_sleep")).length).toBe(1);
    leaving.abort();
    expect(await asked).toEqual(unavailable);
    expect(await othersRunning("pg_sleep")).toEqual([]);
    expect(await postgres.query(one, [], new AbortController().signal)).toEqual([["1"]]);
    await expect(postgres.query(one, [], leaving.signal)).rejects.toThrow("aborted");
    expect(await failures(postgres)).toEqual(allOne);
  });

  test("waiting for a connection has an end", async () => {
    const postgres = await open({ poolSize: 1, connectTimeoutMs: 1000 });
    let release: () => void = () => {};
    const held = postgres.work((em) =>
      em.transactional(async (em) => {
        await em.execute("select 1");
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      }),
    );
    await expect.poll(() => postgres.pool()).toMatchObject({ connections: 1, idle: 0 });
    expect(await failureOf(postgres.query(one, []))).toEqual(unavailable);
    release();
    await held;
    expect(await postgres.query(one, [])).toEqual([["1"]]);
  });

  test("too many statements at once are refused at once", async () => {
    const postgres = await open({});
    const results = await Promise.allSettled(
      Array.from({ length: 1005 }, () => postgres.run(one, [])),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1000);
    expect(results.slice(1000)).toEqual(
      Array.from({ length: 5 }, () => ({ status: "rejected", reason: unavailable })),
    );
    expect(postgres.pool().underWay).toBe(0);
  });

  test("a mistake of ours is not the database's absence", async () => {
    const failed = await failures(await open({}), { name: "test_typo", text: "selec 1" });
    for (const failure of failed) {
      expect(failure).toBeInstanceOf(Error);
      expect(failure).not.toBeInstanceOf(DomainError);
      expect(failure).toMatchObject({ code: "42601" });
    }
  });

  test("each of many statements at once gets its own answer, or its own failure", async () => {
    const postgres = await open({});
    const asked = Array.from({ length: 200 }, (_, index) =>
      index % 7 === 0
        ? postgres.run(broken, [0])
        : postgres.run(echo, [`text ${index} \u{1f600}`, index, Buffer.from([index])]),
    );
    const results = await Promise.allSettled(asked);
    const divided = {
      status: "rejected",
      reason: expect.objectContaining({ code: "22012" }),
    };
    const expected = results.map((_, index) => {
      const byte = `\\x${index.toString(16).padStart(2, "0")}`;
      const value = [[`text ${index} \u{1f600}`, `${index}`, byte]];
      return index % 7 === 0 ? divided : { status: "fulfilled", value };
    });
    expect(results).toEqual(expected);
    expect(await postgres.run(echo, [null, undefined, null])).toEqual([[null, null, null]]);
  });

  test("closing waits for what is under way", async () => {
    const postgres = await open({});
    opened.pop();
    const [running] = [postgres.run(sleep, [0.05]), postgres.run(one, [])];
    await postgres.close();
    expect(await running).toEqual([[""]]);
  });

  test("nothing is left open by a close in the middle of a heartbeat", async () => {
    const beating = async () => {
      const rows = await database.sql<{ pid: number }>(
        `select pid from pg_stat_activity where datname = current_database()
         and query like 'select 1%' and pid <> pg_backend_pid()`,
      );
      return rows.map(({ pid }) => pid);
    };
    // The heart of the database that all tests share.
    await expect.poll(beating, { timeout: 20_000 }).toHaveLength(1);
    for (let round = 0; round < 20; round += 1) {
      const postgres = await createPostgres({ url: database.url, entities });
      // The first call begins the beat, whose answer is still to come.
      const asked = Promise.allSettled([postgres.run(one, [])]);
      await postgres.close();
      await asked;
      expect(await failureOf(postgres.run(one, []))).toEqual(unavailable);
    }
    await expect.poll(beating, { timeout: 20_000 }).toHaveLength(1);
  });

  test("connections say who they are", async () => {
    const rows = await database.sql(
      `select distinct application_name from pg_stat_activity
       where datname = current_database()`,
    );
    expect(rows).toEqual([{ application_name: "tribe" }]);
  });

  test("reads go to the primary, unless one asks for a replica", async () => {
    const port = await listen((socket) => socket.destroy());
    servers.pop()?.close();
    const postgres = await open({ replicaUrls: [`postgres://tribe:x@127.0.0.1:${port}/x`] });
    const from = (type: "read" | "write") =>
      postgres.work((em) => em.getConnection(type).execute("select 1 as one"));
    expect(await from("write")).toEqual([{ one: 1 }]);
    expect(await postgres.query(one, [])).toEqual([["1"]]);
    expect(await failureOf(from("read"))).toEqual(unavailable);
  });
});
