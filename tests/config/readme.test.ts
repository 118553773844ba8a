import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { configKeys } from "../../src/config.ts";

it("README's table says what the configuration's keys mean", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const rows = readme.split("\n").filter((line) => /^\| `[A-Z0-9_]+` \|/.test(line));
  const keys = configKeys.map((key) => `| \`${key.name}\` | ${key.default} | ${key.meaning} |`);
  expect(rows).toEqual(keys);
});
