/**
 * Rolls the instances of a running `docker compose up` under load, and counts what was lost:
 * `npm run drill:rolling`, as who may read ./secrets. Ends with 1 if anything was.
 */
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { startLoad } from "./load.ts";
import { roll } from "./roll.ts";

const say = (line: string) => void process.stdout.write(`${line}\n`);
const read = (path: string) => readFileSync(new URL(`../secrets/${path}`, import.meta.url), "utf8");

/** Load before the first instance is replaced, and after the last. */
const quietMs = 5000;

const load = startLoad({
  url: process.argv[2] ?? "https://localhost",
  authority: read("edge/certificate.pem"),
  key: read("app/admin-api-key").trim(),
  // Together below the edge's hundred requests a second of one address.
  callers: 3,
  pauseMs: 150,
});
const start = Date.now();
await setTimeout(quietMs);
try {
  await roll(say);
  await setTimeout(quietMs);
} finally {
  const { failures, ...done } = await load.stop();
  const seconds = ((Date.now() - start) / 1000).toFixed(0);
  say(
    `In ${seconds} s: ${Object.entries(done)
      .map(([kind, count]) => `${count} ${kind}`)
      .join(", ")}; ${failures.length} failures.`,
  );
  for (const failure of failures.slice(0, 20)) say(`  ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
}
