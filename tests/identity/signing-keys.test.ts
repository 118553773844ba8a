import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createAccessTokens } from "../../src/identity/access-token.ts";
import { createSigningKeyRepository } from "../../src/identity/signing-key.repository.ts";
import { storedSigningKeys } from "../../src/identity/stored-signing-keys.ts";
import { createKeyRing } from "../../src/key-ring.ts";
import { createSealing } from "../../src/sealing.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

const day = 24 * 3_600_000;
let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.sql("delete from signing_keys");
});

/** The keys as a process has them on a day. */
function keysOn(clock: { now: number }, secret = "a secret of 32 bytes or somewhat more") {
  return storedSigningKeys({
    repository: createSigningKeyRepository(database.postgres),
    sealing: createSealing(createKeyRing([secret]).derive("signing-keys")),
    logger: createLogger({ level: "silent" }),
    now: () => clock.now,
  });
}

test("processes that begin at once agree on one key", async () => {
  const clock = { now: Date.now() };
  const current = await Promise.all(Array.from({ length: 5 }, () => keysOn(clock).current()));
  expect(new Set(current.map(({ id }) => id)).size).toBe(1);
});

test("a token of one process is taken by another that has not seen the key", async () => {
  const clock = { now: Date.now() };
  const [one, other] = [keysOn(clock), keysOn(clock)];
  await other.find("nothing");
  const { token } = await createAccessTokens(one, 600).make(
    "01990000-0000-7000-8000-000000000001",
    "01990000-0000-7000-8000-000000000002",
  );
  clock.now += 1000;
  expect(await createAccessTokens(other, 600).verify(token)).toMatchObject({
    userId: "01990000-0000-7000-8000-000000000001",
  });
});

test("a successor is shown before it signs, and the old key verifies after it has signed", async () => {
  const clock = { now: Date.now() };
  const [keys, other] = [keysOn(clock), keysOn(clock)];
  await Promise.all([keys.rotate(), other.rotate()]);
  const first = await keys.current();
  const { token } = await createAccessTokens(keys, 600).make(
    "01990000-0000-7000-8000-000000000001",
    "01990000-0000-7000-8000-000000000002",
  );
  const shown = async () => (await other.jwks()).keys.map(({ kid }) => kid);
  clock.now += 28 * day;
  await Promise.all([keys.rotate(), other.rotate()]);
  expect(await shown()).toEqual([first.id]);

  clock.now += 1.5 * day;
  await Promise.all([keys.rotate(), other.rotate()]);
  expect(await shown()).toHaveLength(2);
  expect((await keys.current()).id).toBe(first.id);

  clock.now += 1 * day;
  const second = await keys.current();
  expect(second.id).not.toBe(first.id);
  expect((await other.current()).id).toBe(second.id);
  expect(await createAccessTokens(other, 600).verify(token)).toMatchObject({});

  clock.now += 4 * day;
  expect(await other.find(first.id)).toBeUndefined();
  expect(await other.find(second.id)).toBeDefined();
});

test("private keys are sealed, and a lost secret makes a new key rather than none", async () => {
  const clock = { now: Date.now() };
  const first = await keysOn(clock).current();
  const [row] = await database.sql<{ private_key: Buffer }>("select private_key from signing_keys");
  const pkcs8 = first.signWith.export({ format: "der", type: "pkcs8" });
  expect(row?.private_key.includes(pkcs8.subarray(-32))).toBe(false);
  const second = await keysOn(clock, "another secret of 32 bytes or more").current();
  expect(second.id).not.toBe(first.id);
});
