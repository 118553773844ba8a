#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=40
// Plain JavaScript that any Node reads: an old one is told so, instead of stumbling over TypeScript.
import { fileURLToPath } from "node:url";

const [major] = process.versions.node.split(".").map(Number);
if (major < 24) {
  process.stderr.write(
    `Tribe needs Node 24 or newer, this is ${process.versions.node} (${process.execPath}).\n` +
      "`npm ci && npm start` brings its own Node 24; without development packages\n" +
      "(`npm ci --omit=dev`) install Node 24 first: https://nodejs.org\n",
  );
  process.exit(1);
}
// Types are stripped and code is compiled once, not at every start; where nothing can be written, as before.
const { enableCompileCache } = await import("node:module");
enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/tribe", import.meta.url)));
await import("../src/main.ts");
