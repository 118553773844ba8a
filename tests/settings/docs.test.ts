import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { settingDefinitions } from "../../src/access.ts";

it("docs/settings.md says what every setting means", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/settings.md"), "utf8");
  const rows = text.split("\n").filter((line) => /^\| `[a-zA-Z]+` \|/.test(line));
  const expected = settingDefinitions.map(({ name, default: value, meaning }) => {
    const json = JSON.stringify(value);
    // The roles have a table of their own, in the code.
    const shown = json.length > 120 ? "`src/identity/roles.ts`" : `\`${json}\``;
    return `| \`${name}\` | ${shown} | ${meaning} |`;
  });
  expect(rows).toEqual(expected);
});
