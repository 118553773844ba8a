import { expect, test } from "vitest";
import { createTurnstile } from "../../src/usage/turnstile.ts";

test("of one key one at a time and in order, of all so many at once, and failures hold up nobody", async () => {
  const turnstile = createTurnstile(2);
  const log: string[] = [];
  let atOnce = 0;
  let most = 0;
  const doors = new Map<string, PromiseWithResolvers<void>>();
  const begin = (key: string, name: string) => {
    doors.set(name, Promise.withResolvers());
    return turnstile.pass(key, async () => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      log.push(name);
      await doors.get(name)?.promise.finally(() => (atOnce -= 1));
      return name;
    });
  };
  const all = [
    begin("a", "a1"),
    begin("a", "a2"),
    begin("b", "b1"),
    begin("c", "c1"),
    begin("a", "a3"),
  ];
  const ends = Promise.allSettled(all);
  const settled = async () => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  expect(log).toEqual(["a1", "b1"]);
  doors.get("a1")?.reject(new Error("broken"));
  await settled();
  expect(log).toEqual(["a1", "b1", "a2"]);
  doors.get("b1")?.resolve();
  await settled();
  expect(log).toEqual(["a1", "b1", "a2", "c1"]);
  for (const name of ["a2", "c1", "a3"]) doors.get(name)?.resolve();
  expect((await ends).map(({ status }) => status)).toEqual([
    "rejected",
    "fulfilled",
    "fulfilled",
    "fulfilled",
    "fulfilled",
  ]);
  expect(log.at(-1)).toBe("a3");
  expect(most).toBe(2);
});
