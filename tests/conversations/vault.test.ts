import { describe, expect, test } from "vitest";
import { createVault, plainVault } from "../../src/conversations/vault.ts";

const one = "1".repeat(32);
const two = "2".repeat(32);
const sealed = createVault({ secrets: [one], isSealing: true });
const content = [{ type: "text", text: "The moon is made of cheese." }];

test("seals anew each time, and opens what it sealed", () => {
  const texts = [1, 2].map(() => sealed.jsonb(content, "message/content", "a"));
  expect(texts[0]).not.toBe(texts[1]);
  for (const json of texts) {
    expect(Buffer.from(JSON.parse(json) as string, "base64").toString("latin1")).not.toContain(
      "moon",
    );
    const stored = JSON.parse(json) as string;
    expect(sealed.fromJsonb(stored, "message/content", "a")).toEqual(content);
  }
  const title = sealed.text("Moon", "conversation/title", "a");
  expect(sealed.fromText(title, "conversation/title", "a")).toBe("Moon");
});

describe("fails loudly", () => {
  const stored = JSON.parse(sealed.jsonb(content, "message/content", "a")) as string;
  const flipped = Buffer.from(stored, "base64");
  flipped[40] = (flipped[40] ?? 0) ^ 1;
  test.each([
    ["in another row", sealed, stored, "message/content", "b"],
    ["in another column", sealed, stored, "message/metadata", "a"],
    ["with a flipped bit", sealed, flipped.toString("base64"), "message/content", "a"],
    ["cut short", sealed, stored.slice(0, 40), "message/content", "a"],
    [
      "with another key",
      createVault({ secrets: [two], isSealing: true }),
      stored,
      "message/content",
      "a",
    ],
    ["without a key", plainVault, stored, "message/content", "a"],
  ] as const)("%s", (_, vault, json, place, id) => {
    expect(() => vault.fromJsonb(json as string | object, place, id)).toThrow(
      expect.objectContaining({ code: "INTERNAL", reason: "CONTENT_NOT_READABLE" }) as Error,
    );
  });
});

test("with a new key in front still opens what the old one sealed", () => {
  const both = createVault({ secrets: [two, one], isSealing: true });
  const old = JSON.parse(sealed.jsonb(content, "message/content", "a")) as string;
  expect(both.fromJsonb<object>(old, "message/content", "a")).toEqual(content);
  expect(both.prefix).not.toBe(sealed.prefix);
  const fresh = JSON.parse(both.jsonb(content, "message/content", "a")) as string;
  expect(fresh.startsWith(both.prefix ?? "?")).toBe(true);
  expect(() => sealed.fromJsonb<object>(fresh, "message/content", "a")).toThrow("do not open it");
});

test("opens but does not seal after `none`", () => {
  const opening = createVault({ secrets: [one], isSealing: false });
  const old = JSON.parse(sealed.jsonb(content, "message/content", "a")) as string;
  expect(opening.fromJsonb<object>(old, "message/content", "a")).toEqual(content);
  expect(opening.jsonb(content, "message/content", "a")).toBe(JSON.stringify(content));
});

test("never takes text of a caller's for sealed text", () => {
  for (const vault of [plainVault, sealed]) {
    for (const text of ["", "\u0001", "\u0001\u0001x", "\u0001AQIDBAUGBwgJ", "plain"]) {
      const stored = vault.text(text, "conversation/title", "a");
      expect(vault.fromText(stored, "conversation/title", "a")).toBe(text);
    }
  }
});

test("keeps no hash by which content could be guessed", () => {
  const hash = Buffer.alloc(32, 7);
  const digest = sealed.digest(hash);
  expect(Buffer.compare(digest, hash)).not.toBe(0);
  expect(sealed.isDigest(digest, hash)).toBe(true);
  expect(sealed.isDigest(digest, Buffer.alloc(32, 8))).toBe(false);
  // Of before a rotation, and of before it was switched on.
  expect(createVault({ secrets: [two, one], isSealing: true }).isDigest(digest, hash)).toBe(true);
  expect(sealed.isDigest(plainVault.digest(hash), hash)).toBe(true);
});
