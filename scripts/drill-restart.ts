/**
 * Restarts two processes in turn behind the real nginx, under load, and fails if a request or a
 * stream was lost: `npm run drill:restart -- --times 10`. The test that CI runs, for longer.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { times: { type: "string", default: "10" } } });
if (!/^[1-9]\d{0,3}$/.test(values.times)) {
  process.stderr.write("--times must be a whole number from 1 to 9999\n");
  process.exit(2);
}
const child = spawn(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", "tests/nginx/instances.test.ts", "-t", "in turn"],
  { stdio: "inherit", env: { ...process.env, RESTARTS: values.times } },
);
const [code] = (await once(child, "exit")) as [number | null];
process.exitCode = code ?? 1;
