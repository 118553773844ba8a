#!/usr/bin/env node
// Plain JavaScript that any Node reads: an old one is told so, instead of stumbling over TypeScript.
const [major] = process.versions.node.split(".").map(Number);
if (major < 24) {
  process.stderr.write(
    `Tribe needs Node 24 or newer, this is ${process.versions.node} (${process.execPath}).\n` +
      "`npm ci && npm start` brings its own Node 24; without development packages\n" +
      "(`npm ci --omit=dev`) install Node 24 first: https://nodejs.org\n",
  );
  process.exit(1);
}
await import("../src/main.ts");
