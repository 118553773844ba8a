import { writeFileSync } from "node:fs";
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
