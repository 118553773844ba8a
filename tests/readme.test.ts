import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { configKeys } from "../src/config.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

it("lists every configuration key with its default and meaning, and no other", () => {
  const rows = readme.split("\n").filter((line) => /^\| `[A-Z0-9_]+` \|/.test(line));
  expect(rows).toEqual(
    configKeys.map((key) => `| \`${key.name}\` | ${key.default} | ${key.meaning} |`),
  );
});

it("gives the two commands", () => {
  expect(readme).toContain("npm ci && npm start\n");
  expect(readme).toContain("npm ci && npm test\n");
});
