import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createOpenAIProvider } from "../../src/providers/openai/openai-provider.ts";
import type {
  ClosableProvider,
  ModelRequest,
  ModelSink,
  Provider,
} from "../../src/providers/provider.ts";
import { answerInTime, type ProviderTimeouts } from "../../src/providers/timeouts.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import type { Reply } from "../support/provider-server/reply.ts";
import { recordAnswer } from "../support/record-answer.ts";

let server: ProviderServer;
let provider: ClosableProvider;
beforeEach(async () => {
  server = await startProviderServer();
  provider = createOpenAIProvider({ apiKey: "sk-test", baseUrl: server.openaiUrl });
});
afterEach(async () => {
  await provider.close();
  await server.close();
});

/** For polls: other tests keep the machine busy. */
const PATIENT = { timeout: 10_000 };
const question: ModelRequest = {
  model: "slow-model",
  messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
};
const LONG = 100_000;

async function ask(reply: Reply, limits: Partial<ProviderTimeouts>) {
  server.script(reply);
  const answer = recordAnswer();
  const result = await answerInTime(provider, question, answer, new AbortController().signal, {
    firstTokenMs: LONG,
    idleMs: LONG,
    totalMs: LONG,
    ...limits,
  });
  return { answer, result };
}

/** A provider that sends a piece whenever `deltas.next()` is called. */
function answerByHand(limits: Partial<ProviderTimeouts>) {
  let sink: ModelSink | undefined;
  const answer: { settled?: unknown } = {};
  const silent: Provider = {
    name: "by-hand",
    check: () => undefined,
    answer: (_request, given, signal) => {
      sink = given;
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
    },
  };
  answerInTime(silent, question, recordAnswer(), new AbortController().signal, {
    firstTokenMs: LONG,
    idleMs: LONG,
    totalMs: LONG,
    ...limits,
  }).catch((error: unknown) => (answer.settled = error));
  return { answer, deltas: { next: () => sink?.delta({ type: "text", text: "x" }) } };
}

describe("the time limits of a provider call", () => {
  test.each<[string, Reply]>([
    ["before the headers", { hang: "before_headers" }],
    ["after the headers", { hang: "after_headers" }],
    ["with keep-alives only", { hang: "after_headers", keepAliveMs: 5 }],
    ["after a first event without content", { hang: 1, keepAliveMs: 5 }],
  ])("no content: a server that hangs %s", async (_, reply) => {
    await expect(ask(reply, { firstTokenMs: 60 })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      reason: "PROVIDER_FIRST_TOKEN_TIMEOUT",
      metadata: { provider: "openai", model: "slow-model" },
    });
    // Nothing goes on at the provider's that nobody waits for.
    await expect
      .poll(() => server.requests.every((request) => request.aborted), PATIENT)
      .toBe(true);
  });

  test("no more content: keep-alives do not count", async () => {
    await expect(ask({ hang: 5, keepAliveMs: 5 }, { idleMs: 60 })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      reason: "PROVIDER_IDLE_TIMEOUT",
    });
  });

  test("too long in all, however lively", async () => {
    const text = Array.from({ length: 10_000 }, (_, n) => `${n} `);
    await expect(ask({ text, delayMs: 5 }, { totalMs: 150 })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      reason: "PROVIDER_TOTAL_TIMEOUT",
    });
  });

  test("the caller's own abort keeps its reason", async () => {
    const controller = new AbortController();
    server.script({ hang: "before_headers" });
    const calls = server.calls;
    const asked = answerInTime(provider, question, recordAnswer(), controller.signal);
    asked.catch(() => undefined);
    await expect.poll(() => server.calls, PATIENT).toBe(calls + 1);
    const reason = new Error("gone");
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
  });

  test("each content gives new time, and content that stops is noticed in time", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    try {
      const { answer, deltas } = answerByHand({ firstTokenMs: 5000, idleMs: 1000 });
      await vi.advanceTimersByTimeAsync(4900);
      deltas.next();
      for (let piece = 0; piece < 20; piece += 1) {
        await vi.advanceTimersByTimeAsync(990);
        expect(answer.settled).toBeUndefined();
        deltas.next();
      }
      await vi.advanceTimersByTimeAsync(990);
      expect(answer.settled).toBeUndefined();
      await vi.advanceTimersByTimeAsync(15);
      expect(answer.settled).toMatchObject({ reason: "PROVIDER_IDLE_TIMEOUT" });
    } finally {
      vi.useRealTimers();
    }
  });

  test("nothing is left behind: neither timer nor listener", async () => {
    const { signal } = new AbortController();
    const set = vi.spyOn(globalThis, "setTimeout");
    const clear = vi.spyOn(globalThis, "clearTimeout");
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    const failing = { ...provider, answer: () => Promise.reject(new Error("no")) };
    await expect(answerInTime(failing, question, recordAnswer(), signal)).rejects.toThrow("no");
    const timers = set.mock.results.map(({ value }) => value as unknown);
    const cleared = clear.mock.calls.map(([timer]) => timer as unknown);
    vi.restoreAllMocks();
    expect(timers).toHaveLength(1);
    expect(cleared).toEqual(timers);
    expect(add).toHaveBeenCalledTimes(1);
    expect(remove.mock.calls).toEqual(add.mock.calls);
  });
});
