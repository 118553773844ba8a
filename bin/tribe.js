#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=20
// Plain JavaScript that any Node reads: an old one is told so, instead of stumbling over TypeScript.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 24 || (major === 24 && minor < 16)) {
  process.stderr.write(
    `Tribe needs Node 24.16 or newer, this is ${process.versions.node} (${process.execPath}).\n` +
      "`npm ci && npm start` brings its own Node 24; without development packages\n" +
      "(`npm ci --omit=dev`) install Node 24 first: https://nodejs.org\n",
  );
  process.exit(1);
}
// Types are stripped and code is compiled once, not at every start; where nothing can be written, as before.
const { enableCompileCache } = await import("node:module");
enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/tribe", import.meta.url)));
if (!existsSync(new URL("../src", import.meta.url))) {
  process.stderr.write("This package holds Tribe's clients only: run tribe from the repository.\n");
  process.exit(1);
}
// `tribe start` is the service, everything else the operators' command line.
if (process.argv[2] === "start" && process.argv.length === 3) await import("../src/main.ts");
else await import("../src/cli/main.ts");
