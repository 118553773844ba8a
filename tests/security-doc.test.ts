import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const root = new URL("../", import.meta.url);
const document = readFileSync(new URL("docs/security.md", root), "utf8");
const named = [...document.matchAll(/\| `(tests\/[^`]+)`: "([^"]+)" \|/g)].map(
  ([, file = "", name = ""]) => ({ file, name }),
);
const rows = document.split("\n").filter((line) => /^\| .*\b(API\d|ASVS \d)/.test(line));

describe("every threat of docs/security.md", () => {
  test("names a test", () => {
    expect(rows.length).toBeGreaterThan(20);
    expect(named).toHaveLength(rows.length);
  });

  test.each(named)("is shown by $file: $name", ({ file, name }) => {
    const path = new URL(file, root);
    expect(existsSync(path)).toBe(true);
    expect(readFileSync(path, "utf8")).toContain(`("${name}"`);
  });
});
