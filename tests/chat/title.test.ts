import { expect, it } from "vitest";
import { titleOf } from "../../src/chat/title.ts";

it.each([
  ["Hello", "Hello"],
  ["  two\n lines ", "two lines"],
  ["word ".repeat(40), `${"word ".repeat(14)}word…`],
  ["x".repeat(500), `${"x".repeat(79)}…`],
  ["😀".repeat(100), `${"😀".repeat(39)}…`],
  [`a${" ".repeat(398)}😀`, "a"],
])("calls %j %j", (text, title) => {
  expect(titleOf([{ type: "text", text }])).toBe(title);
});

it("has no name for a picture", () => {
  expect(titleOf([{ type: "image", url: "https://example.com/a.png" }])).toBe("");
});
