import { argon2Sync } from "node:crypto";
import { expect, test } from "vitest";
import { createPasswords } from "../../src/identity/password.ts";

const cheap = { memory: 1024, passes: 1, parallelism: 1 };
const passwords = createPasswords(cheap);

test("a hash is argon2id in PHC format, which others can check", async () => {
  const hash = await passwords.hash("correct horse");
  const match = /^\$argon2id\$v=19\$m=1024,t=1,p=1\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/.exec(
    hash,
  );
  const tag = argon2Sync("argon2id", {
    message: "correct horse",
    nonce: Buffer.from(match?.[1] ?? "", "base64"),
    memory: 1024,
    passes: 1,
    parallelism: 1,
    tagLength: 32,
  });
  expect(tag.toString("base64").replace(/=+$/, "")).toBe(match?.[2]);
});

test("only the password itself is right, however it was typed", async () => {
  const hash = await passwords.hash("pässword");
  expect(await passwords.verify("pässword", hash)).toBe(true);
  expect(await passwords.verify("pa\u0308ssword", hash)).toBe(true);
  expect(await passwords.verify("Pässword", hash)).toBe(false);
  expect(await passwords.verify("", hash)).toBe(false);
  expect(await passwords.verify("pässword", undefined)).toBe(false);
});

test("the same password has another hash each time", async () => {
  expect(await passwords.hash("same")).not.toBe(await passwords.hash("same"));
});

test("a hash of other work is still right and is asked to be made anew", async () => {
  const dear = createPasswords({ memory: 2048, passes: 2, parallelism: 2 });
  const hash = await passwords.hash("same");
  expect(await dear.verify("same", hash)).toBe(true);
  expect(dear.needsRehash(hash)).toBe(true);
  expect(dear.needsRehash(await dear.hash("same"))).toBe(false);
});

test("the event loop goes on while many are hashed, and too many are told to come back", async () => {
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  const all = await Promise.allSettled(Array.from({ length: 300 }, () => passwords.hash("x")));
  clearInterval(timer);
  expect(turns).toBeGreaterThan(5);
  const refused = all.filter(({ status }) => status === "rejected");
  expect(refused.length).toBeGreaterThan(0);
  expect(refused[0]).toMatchObject({
    reason: { code: "RESOURCE_EXHAUSTED", retryAfterSeconds: 2 },
  });
  expect(await passwords.verify("x", await passwords.hash("x"))).toBe(true);
});
