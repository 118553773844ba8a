import { expect, it } from "vitest";
import { createGenerate, type GenerationInput } from "../../src/chat/generation.ts";
import { createLiveRun } from "../../src/chat/run.ts";

it("stores the end of a run only once its last pieces can be read elsewhere", async () => {
  const order: string[] = [];
  const log = {
    append: () => {},
    isWhole: () => true,
    async end() {
      await new Promise(setImmediate);
      order.push("pieces");
    },
  };
  const generate = createGenerate({
    models: { answer: async () => ({ finishReason: "stop", usage: undefined }) } as never,
    settler: {
      async settle() {
        order.push("end");
        return { time: new Date(), error: undefined };
      },
    } as never,
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
  expect(order).toEqual(["pieces", "end"]);
  expect((await run.ended).type).toBe("completed");
});
