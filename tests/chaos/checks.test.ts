/**
 * The checks of the drills, on a drill without faults: nothing is reported of it as it is, and
 * whatever is then planted into its database, or into what was seen, is.
 */
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { violationsOf } from "./check.ts";
import { perform } from "./drill.ts";
import type { Facts } from "./facts.ts";
import type { Operation, Plan } from "./plan.ts";
import { acknowledgedPlants } from "./plants/acknowledged.ts";
import { ledgerPlants } from "./plants/ledger.ts";
import { promisesPlants } from "./plants/promises.ts";
import { streamsPlants } from "./plants/streams.ts";
import { treePlants } from "./plants/tree.ts";
import { readStored } from "./stored.ts";
import { setStage, startWorld, type World } from "./world.ts";

const quick = { kind: "good", pieces: 6, delayMs: 0 } as const;
const slow = { kind: "good", pieces: 20, delayMs: 100 } as const;
const ask = (id: number, more: Partial<Operation>): Operation => ({
  id,
  atMs: 0,
  user: "free",
  service: 0,
  call: "stream",
  replies: [quick],
  ...more,
});

const plan: Plan = {
  seed: 0,
  seconds: 1,
  faults: [],
  operations: [
    ask(0, {}),
    ask(1, { call: "unary" }),
    ask(2, { retried: "twice", service: 1 }),
    ask(3, { cancelsAfter: 4, replies: [slow] }),
    ask(4, { leavesAfter: 3, replies: [slow] }),
    ask(5, { user: "limited", call: "unary" }),
    ask(6, { user: "budgeted", service: 1 }),
    ask(7, { replies: [{ kind: "status", status: 500 }, quick] }),
    ask(8, { atMs: 900, continues: 0, branchFrom: "answer" }),
  ],
};

let folder: string;
let world: World;
let databaseUrl: string;
let facts: Facts;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tribe-checks-"));
  // PostgreSQL runs as a user of its own.
  chmodSync(folder, 0o711);
  world = await startWorld(folder);
  const stage = await setStage(world, "drill_checks", join(folder, "drill"));
  databaseUrl = stage.databaseUrl;
  facts = await perform(world, stage, plan);
});
afterAll(async () => {
  await world?.stop();
  rmSync(realpathSync(join(folder, "postgres")), { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

test("a drill without faults holds", () => {
  expect(violationsOf(facts)).toEqual([]);
  const states = facts.stored.runs.map(({ state }) => state).sort();
  expect(states).toEqual(["cancelled", ...Array<string>(8).fill("completed")]);
});

test.each([
  ...acknowledgedPlants,
  ...treePlants,
  ...streamsPlants,
  ...ledgerPlants,
  ...promisesPlants,
])("$what is found", async ({ statements = [], facts: plant, says }) => {
  const planted = structuredClone({ ...facts, stored: await readStored(databaseUrl, statements) });
  plant?.(planted);
  expect(violationsOf(planted)).toContainEqual(expect.stringMatching(says));
});
