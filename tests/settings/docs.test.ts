import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { settingDefinitions } from "../../src/access.ts";

/** What is too long for a table stands elsewhere. */
const elsewhere: Readonly<Record<string, string>> = {
  rolePermissions: "`src/identity/roles.ts`",
  limits: "[Limits](../README.md#limits)",
};

it("docs/settings.md says what every setting means", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/settings.md"), "utf8");
  const rows = text.split("\n").filter((line) => /^\| `[a-zA-Z]+` \|/.test(line));
  const expected = settingDefinitions.map(({ name, default: value, meaning }) => {
    const shown = elsewhere[name] ?? `\`${JSON.stringify(value)}\``;
    return `| \`${name}\` | ${shown} | ${meaning} |`;
  });
  expect(rows).toEqual(expected);
});
