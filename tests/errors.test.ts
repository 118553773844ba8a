import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { codeOfReason, errorReasons, isErrorReason } from "../src/errors.ts";

test("the documentation lists every reason with its code and meaning, and no other", () => {
  const page = readFileSync(new URL("../docs/errors.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => /^\| `[A-Z_]+` \|/.test(line));
  const expected = Object.entries(errorReasons).map(
    ([reason, [code, meaning]]) => `| \`${reason}\` | ${code} | ${meaning} |`,
  );
  expect(rows).toEqual(expected);
  expect(expected).toEqual(expected.toSorted());
});

test("a stored reason is one of ours, or not", () => {
  expect(isErrorReason("RUN_WITHDRAWN") && codeOfReason("RUN_WITHDRAWN")).toBe("ABORTED");
  for (const text of ["", "SOMETHING_NEW", "toString", "__proto__"])
    expect(isErrorReason(text)).toBe(false);
});
