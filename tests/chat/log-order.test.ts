import { expect, it } from "vitest";
import { createGenerate, type GenerationInput } from "../../src/chat/generation.ts";
import { createLiveRun } from "../../src/chat/run.ts";
import { createSettler } from "../../src/chat/settle.ts";
import type { TurnRepository } from "../../src/chat/turn.repository.ts";
import { DomainError, unavailable } from "../../src/errors.ts";

/** Ends a run that nobody follows, and gives what was done with its pieces and its end, in order. */
async function endRun(settle: (order: string[]) => Promise<Date>) {
  const order: string[] = [];
  const log = {
    append: () => {},
    isWhole: () => true,
    async end(needed: boolean) {
      await new Promise(setImmediate);
      order.push(needed ? "all pieces" : "pieces");
    },
  };
  const generate = createGenerate({
    models: { answer: async () => ({ finishReason: "stop", usage: undefined }) } as never,
    settler: createSettler({ settle: () => settle(order) } as unknown as TurnRepository),
    onFailure: () => {},
    onAttempt: () => {},
  });
  const run = createLiveRun("run", "user", { log });
  await generate(run, {
    caller: { userId: "user" },
    request: { metadata: {} },
    choice: { model: "demo", provider: "demo", priceVersion: "test" },
    question: { content: [], tokens: 0 },
    opened: { conversationId: "conversation", sequence: 1 },
    modelRequest: { model: "demo", messages: [] },
    cache: { answer: async () => undefined, end: () => {} },
  } as unknown as GenerationInput);
  return { run, order };
}

it("stores the end of a run only once its last pieces can be read elsewhere", async () => {
  const { run, order } = await endRun(async (order) => {
    order.push("end");
    return new Date();
  });
  expect(order).toEqual(["pieces", "end"]);
  expect((await run.ended).type).toBe("completed");
  expect(run.isNeeded()).toBe(false);
});

it("leaves the pieces to others while the database is away, in case the process dies", async () => {
  let failures = 1;
  const { run, order } = await endRun(async (order) => {
    if (failures-- > 0) throw unavailable("DATABASE_UNAVAILABLE", "away");
    order.push("end");
    return new Date();
  });
  expect(order).toEqual(["pieces", "all pieces", "end"]);
  expect((await run.ended).type).toBe("completed");
});

it("stays in memory when its end could not be stored: nobody else can tell it", async () => {
  const { run, order } = await endRun(async () => {
    throw new DomainError("INTERNAL", "INTERNAL", "broken");
  });
  expect(await run.ended).toMatchObject({ type: "failed", error: { reason: "ANSWER_NOT_STORED" } });
  expect(run.isNeeded()).toBe(true);
  await expect.poll(() => order).toEqual(["pieces", "all pieces"]);
});
