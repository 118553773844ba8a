import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { prepareDirectory } from "../../src/embedded/directory.ts";
import { makeFolder } from "../support/folder.ts";

const folder = makeFolder();
afterAll(() => folder.remove());

it("names the setting when a file stands in its way", () => {
  const file = join(folder.path, "file");
  writeFileSync(file, "");
  for (const directory of [file, join(file, "below")]) {
    expect(() => prepareDirectory(directory)).toThrow(
      `TRIBE_DIR: cannot make the folder ${directory}: a part of its path is a file, not a folder`,
    );
  }
});

it("says whose it is not, where another user has made it", () => {
  const made = join(folder.path, "made-by-another");
  const module = join(import.meta.dirname, "../../src/embedded/directory.ts");
  chmodSync(folder.path, 0o755);
  mkdirSync(made, { mode: 0o555 });
  // Root may write anywhere: somebody else looks.
  const { stderr } = spawnSync(
    process.execPath,
    [
      "--input-type=module",
      "--eval",
      `import { prepareDirectory } from ${JSON.stringify(module)};
       if (process.getuid() === 0) process.setuid(65534);
       prepareDirectory(${JSON.stringify(made)});`,
    ],
    { encoding: "utf8" },
  );
  expect(stderr).toContain(`TRIBE_DIR: ${made} is there, but not for this user to write: start`);
});
