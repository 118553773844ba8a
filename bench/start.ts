/** `npm run bench`: installs what the bench needs the first time, then runs it on its core; `--rest` runs bench/rest.ts alone. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const here = import.meta.dirname;
const commandLine = process.argv.slice(2);

function run(command: string, commandArguments: string[]): void {
  const { status, error } = spawnSync(command, commandArguments, { cwd: here, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const alone = commandLine.indexOf("--rest");
if (alone !== -1) {
  run(process.execPath, [`${here}/rest.ts`, ...commandLine.toSpliced(alone, 1)]);
  process.exit();
}
if (process.platform !== "linux" || spawnSync("taskset", ["-V"]).status !== 0) {
  throw new Error("The bench needs Linux with taskset (util-linux) and two cores");
}
if (!existsSync(`${here}/node_modules/@portkey-ai/gateway`)) {
  console.log("Installing the peers that Tribe is compared with");
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
}
// Everything but the measured services lives on core 1, and whatever this starts inherits it.
run("taskset", ["-c", "1", process.execPath, `${here}/run.ts`, ...commandLine]);
if (commandLine.includes("--observability")) process.exit();
run("taskset", ["-c", "0", process.execPath, `${here}/access.ts`]);
run(process.execPath, [`${here}/audit.ts`]);
// Ratios within a few rounds are enough here; `--rest` takes its time.
run(process.execPath, [`${here}/rest.ts`, "3", "2000"]);
