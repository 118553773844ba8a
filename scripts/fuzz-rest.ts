/**
 * `npm run fuzz:rest -- --requests 100000 --seed 1`: sends that many random and
 * spoilt requests to the REST edge, half of them to services built at run time
 * and half to Tribe's own routes. Any 5xx, crash, or handle left open fails it.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "100000" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
  },
});
const requests = Number(values.requests);
const seed = Number(values.seed);
if (!(requests >= 2) || !Number.isInteger(seed)) throw new Error("expected two whole numbers");

const vitest = join(
  dirname(createRequire(import.meta.url).resolve("vitest/package.json")),
  "vitest.mjs",
);
console.log(`${requests} requests with seed ${seed}`);
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", "tests/rest/fuzz.test.ts", "tests/server/rest-fuzz.test.ts"],
  {
    cwd: join(import.meta.dirname, ".."),
    stdio: "inherit",
    env: {
      ...process.env,
      FUZZ_REQUESTS: String(Math.ceil(requests / 2)),
      FUZZ_SEED: String(seed),
    },
  },
);
process.exitCode = status ?? 1;
