import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { CatalogModel, Price } from "../../src/providers/catalog.ts";
import type { Reply } from "../support/provider-server/reply.ts";
import { deployment, startDeployments } from "./deployments.ts";

let world: Awaited<ReturnType<typeof startDeployments>>;
beforeAll(async () => {
  world = await startDeployments();
});
afterAll(() => world.close());
afterEach(() => world.reset());

/** `a` first, then `b`. */
const ordered: CatalogModel = {
  model: "smart",
  deployments: [deployment("a"), deployment("b", { order: 1 })],
};
const alone: CatalogModel = { model: "alone", deployments: [deployment("a")] };

describe("before the first piece", () => {
  test.each<[string, Reply, string]>([
    ["429", { status: 429, headers: { "retry-after": "7" } }, "PROVIDER_RATE_LIMITED"],
    ["500", { status: 500 }, "PROVIDER_UNAVAILABLE"],
    ["529", { status: 529 }, "PROVIDER_UNAVAILABLE"],
    ["a refused key", { status: 401 }, "PROVIDER_AUTHENTICATION_FAILED"],
    ["an account that is used up", { status: 402 }, "PROVIDER_QUOTA_EXHAUSTED"],
    ["a model that is not there", { status: 404 }, "PROVIDER_REJECTED_REQUEST"],
    ["a reset", { resetAfter: 0 }, "PROVIDER_UNAVAILABLE"],
    ["an error in the stream", { errorAfter: 1 }, "PROVIDER_UNAVAILABLE"],
    ["an end of the stream", { truncateAfter: 1 }, "PROVIDER_STREAM_TRUNCATED"],
  ])("%s: the next deployment answers, at once", async (_, reply, reason) => {
    const { ask, pauses } = world.models([ordered]);
    world.servers.a.script(reply);
    world.servers.b.script({ text: "from b" });
    const { answer, sink } = await ask("smart");
    expect(answer).toMatchObject({ model: "smart", deployment: "b", provider: "openai" });
    expect(sink.text).toBe("from b");
    expect(sink.askedNames).toEqual(["a", "b"]);
    expect(sink.failures).toMatchObject([{ deployment: "a", error: { reason } }]);
    expect(pauses).toEqual([]);
  });

  test.each<[string, Reply["hang"]]>([
    ["before its headers", "before_headers"],
    ["after them", "after_headers"],
  ])("a deployment that hangs %s is given up", async (_, hang) => {
    const { ask } = world.models([{ ...ordered, firstTokenMs: 1000 }]);
    world.servers.a.script({ hang: hang! });
    const { answer, sink } = await ask("smart");
    expect(answer?.deployment).toBe("b");
    expect(sink.failures).toMatchObject([{ error: { reason: "PROVIDER_FIRST_TOKEN_TIMEOUT" } }]);
  });

  test("the same deployment is asked again after a pause with full jitter", async () => {
    const { ask, pauses } = world.models([alone]);
    world.servers.a.script({ status: 500 }, { resetAfter: 0 });
    const { answer } = await ask("alone");
    expect(answer?.deployment).toBe("a");
    expect(pauses).toEqual([125, 250]);
    expect(world.servers.a.requests).toHaveLength(3);
  });

  test("the pause is as long as the provider asks for", async () => {
    const { ask, pauses } = world.models([alone]);
    world.servers.a.script({ status: 429, headers: { "retry-after": "3" } });
    expect((await ask("alone")).answer?.deployment).toBe("a");
    expect(pauses).toEqual([3125]);
  });

  test("a pause that is too long is not waited for: the failure says when to come back", async () => {
    const { ask, pauses } = world.models([alone]);
    world.servers.a.script({ status: 429, headers: { "retry-after": "30" } });
    expect((await ask("alone")).error).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      retryAfterSeconds: 30,
    });
    const { error, sink } = await ask("alone");
    expect(error).toMatchObject({ reason: "PROVIDER_RATE_LIMITED", retryAfterSeconds: 30 });
    expect([pauses, sink.askedNames]).toEqual([[], []]);
    expect(world.servers.a.requests).toHaveLength(1);
  });

  test("attempts have an end", async () => {
    const { ask } = world.models([ordered], { failover: { maxAttempts: 4, maxRetries: 100 } });
    world.servers.a.script({ status: 500 }, { status: 500 });
    world.servers.b.script({ status: 500 }, { status: 500 });
    const { error } = await ask("smart");
    expect(error?.reason).toBe("PROVIDER_UNAVAILABLE");
    expect(world.servers.a.requests.length + world.servers.b.requests.length).toBe(4);
  });

  test.each<[string, Reply, string]>([
    ["wrong input", { status: 400 }, "PROVIDER_REJECTED_REQUEST"],
    ["too much input", { status: 413 }, "PROVIDER_REJECTED_REQUEST"],
    [
      "what the provider's policy forbids",
      { status: 400, error: { error: { code: "content_policy_violation", message: "no" } } },
      "PROVIDER_REJECTED_REQUEST",
    ],
    [
      "a context that is too long",
      { status: 400, error: { error: { code: "context_length_exceeded", message: "too long" } } },
      "CONTEXT_TOO_LONG",
    ],
  ])("%s is nobody's turn again", async (_, reply, reason) => {
    const { ask } = world.models([ordered]);
    world.servers.a.script(reply);
    const { error, sink } = await ask("smart");
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason });
    expect(sink.askedNames).toEqual(["a"]);
  });

  test("a refused key is not tried again for a minute", async () => {
    const { ask, clock, models } = world.models([ordered]);
    world.servers.a.script({ status: 401 });
    await ask("smart");
    clock.advance(59_000);
    expect((await ask("smart")).sink.askedNames).toEqual(["b"]);
    expect(models.deployments()[0]).toMatchObject({
      name: "a",
      circuit: "open",
      lastErrorReason: "PROVIDER_AUTHENTICATION_FAILED",
      failed: 1,
    });
    clock.advance(2_000);
    expect((await ask("smart")).sink.askedNames).toEqual(["a"]);
    expect(models.deployments()[0]).toMatchObject({ circuit: "closed", succeeded: 1 });
  });

  test("stopping ends a pause at once", async () => {
    const { ask } = world.models([alone], { failover: { random: () => 1, backOffMs: 9_000 } });
    const controller = new AbortController();
    const models = world.models([alone], {
      failover: {
        pause: async (_, signal) => {
          controller.abort("cancelled");
          signal.throwIfAborted();
        },
      },
    });
    world.servers.a.script({ status: 500 });
    const { error } = await models.ask("alone", {}, controller.signal);
    expect(error).toBe("cancelled");
    expect(world.servers.a.requests).toHaveLength(1);
    expect((await ask("alone", {}, controller.signal)).error).toBe("cancelled");
    expect(world.servers.a.requests).toHaveLength(1);
  });
});

test("the real pause ends when it is stopped", async () => {
  const controller = new AbortController();
  const { DEFAULT_FAILOVER } = await import("../../src/providers/failover.ts");
  const pause = DEFAULT_FAILOVER.pause(1_000_000, controller.signal);
  controller.abort("cancelled");
  await expect(pause).rejects.toBe("cancelled");
  await expect(DEFAULT_FAILOVER.pause(1_000_000, controller.signal)).rejects.toBe("cancelled");
  await DEFAULT_FAILOVER.pause(0, new AbortController().signal);
});

test.each<[string, Reply]>([
  ["a cut", { text: ["one ", "two "], resetAfter: 2 }],
  ["an end", { text: ["one ", "two "], truncateAfter: 2 }],
  ["an error", { text: ["one ", "two "], errorAfter: 2 }],
])("after the first piece %s stands", async (_, reply) => {
  const { ask, models } = world.models([ordered]);
  world.servers.a.script(reply);
  const { error, sink } = await ask("smart");
  expect(error?.reason).toMatch(/^PROVIDER_/);
  expect(sink.text).toBe("one ");
  expect(sink.askedNames).toEqual(["a"]);
  expect(models.deployments()[0]).toMatchObject({ name: "a", failed: 1 });
});

describe("models that stand in", () => {
  const price: Price = {
    inputMicros: 1n,
    cachedInputMicros: 1n,
    cacheWriteMicros: 1n,
    outputMicros: 1n,
  };
  const primary: CatalogModel = { ...alone, fallbacks: ["narrow", "blind", "other"] };
  const narrow: CatalogModel = {
    model: "narrow",
    contextTokens: 3,
    deployments: [deployment("b")],
  };
  const blind: CatalogModel = {
    model: "blind",
    tools: false,
    contextTokens: 100_000,
    deployments: [deployment("b")],
  };
  const other: CatalogModel = {
    model: "other",
    contextTokens: 200_000,
    price,
    priceVersion: "other-1",
    deployments: [deployment("anthropic", { model: "claude-haiku-4-5" })],
  };

  test("answer under their own name, provider and price", async () => {
    const { ask, pauses } = world.models([primary, narrow, blind, other]);
    world.servers.a.script({ status: 401 });
    const tools = [{ name: "f", description: "", strict: false }];
    const { answer, sink } = await ask("alone", { tools });
    expect(answer).toMatchObject({
      model: "other",
      provider: "anthropic",
      deployment: "anthropic",
      price,
      priceVersion: "other-1",
      upstreamModel: "claude-haiku-4-5",
    });
    expect(sink.askedNames).toEqual(["a", "anthropic"]);
    expect(pauses).toEqual([]);
  });

  test("are left out when they lack what is asked, and room", async () => {
    const { ask } = world.models([primary, narrow, blind, other]);
    world.servers.a.script({ status: 401 });
    expect((await ask("alone")).answer?.model).toBe("blind");
    world.servers.a.script({ status: 401 });
    const { error } = await world
      .models([{ ...primary, fallbacks: ["narrow"] }, narrow])
      .ask("alone");
    expect(error?.reason).toBe("PROVIDER_AUTHENTICATION_FAILED");
  });

  test("take a context that is too long only if theirs is larger", async () => {
    const { ask } = world.models([{ ...primary, contextTokens: 150_000 }, narrow, blind, other]);
    const error = { error: { code: "context_length_exceeded", message: "too long" } };
    world.servers.a.script({ status: 400, error });
    expect((await ask("alone")).answer?.model).toBe("other");
  });

  test("are asked at once when the model itself needs a long pause", async () => {
    const { ask, pauses } = world.models([primary, other]);
    world.servers.a.script({ status: 429, headers: { "retry-after": "5" } });
    expect((await ask("alone")).answer?.model).toBe("other");
    expect((await ask("alone")).sink.askedNames).toEqual(["anthropic"]);
    expect(pauses).toEqual([]);
  });
});

test("what a failed attempt had spent is told, before the next is asked", async () => {
  const model = {
    model: "smart",
    deployments: [
      deployment("anthropic", { model: "claude-haiku-4-5" }),
      deployment("b", { order: 1 }),
    ],
  };
  const { ask } = world.models([model]);
  world.servers.anthropic.script({
    errorAfter: 1,
    usage: { freshInputTokens: 90, outputTokens: 10 },
  });
  const { answer, sink } = await ask("smart");
  expect(answer?.deployment).toBe("b");
  expect(sink.spentTokens).toEqual([
    {
      deployment: "anthropic",
      isEstimate: false,
      usage: expect.objectContaining({ inputTokens: 90, outputTokens: 1 }) as unknown,
    },
  ]);
});

describe("weights and orders", () => {
  const shared: CatalogModel = {
    model: "shared",
    deployments: [
      deployment("a", { weight: 3 }),
      deployment("b", { weight: 1 }),
      deployment("anthropic", { order: 1, model: "claude-haiku-4-5" }),
    ],
  };
  /** Mulberry32. */
  function seeded(seed: number) {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
    };
  }
  async function shares(adjustments: Record<string, { disabled?: boolean; weight?: number }>) {
    const { ask, models } = world.models([shared], { failover: { random: seeded(7) } });
    expect(models.adjust(adjustments)).toEqual([]);
    const counts: Record<string, number> = {};
    for (let turn = 0; turn < 200; turn += 1) {
      const { answer } = await ask("shared");
      counts[answer!.deployment] = (counts[answer!.deployment] ?? 0) + 1;
    }
    return counts;
  }

  test("calls are shared out by weight among the lowest order", async () => {
    const { a = 0, b = 0, anthropic } = await shares({});
    expect(anthropic).toBeUndefined();
    expect(a + b).toBe(200);
    expect(Math.abs(a - 150)).toBeLessThan(20);
  });

  test("an operator changes them at run time", async () => {
    const { a = 0 } = await shares({ a: { weight: 1 } });
    expect(Math.abs(a - 100)).toBeLessThan(20);
    expect(await shares({ a: { disabled: true } })).toEqual({ b: 200 });
    expect(await shares({ a: { disabled: true }, b: { disabled: true } })).toEqual({
      anthropic: 200,
    });
    const { ask, models } = world.models([shared]);
    const off = { disabled: true };
    expect(models.adjust({ a: off, b: off, anthropic: off, gone: off })).toEqual(["gone"]);
    expect((await ask("shared")).error?.message).toMatch(/switched off/);
  });
});

describe("hedging", () => {
  const hedged: CatalogModel = { ...ordered, model: "hedged", hedgeAfterMs: 20 };

  test("asks a second when the first is slow; the loser is cancelled and accounted for", async () => {
    const { ask } = world.models([hedged]);
    world.servers.a.script({ hang: "before_headers" });
    world.servers.b.script({ text: "from b" });
    const { answer, sink } = await ask("hedged");
    expect(answer?.deployment).toBe("b");
    expect(sink.text).toBe("from b");
    expect(sink.askedNames).toEqual(["a", "b"]);
    expect(sink.spentTokens).toEqual([
      {
        deployment: "a",
        isEstimate: true,
        usage: expect.objectContaining({ outputTokens: 0 }) as unknown,
      },
    ]);
    expect(sink.spentTokens[0]?.usage.inputTokens).toBeGreaterThan(0);
    await expect.poll(() => world.servers.a.requests[0]?.aborted).toBe(true);
  });

  test("the first may still win, and its failure stands after its first piece", async () => {
    const { ask } = world.models([hedged]);
    world.servers.b.script({ hang: "before_headers" });
    world.servers.a.script({ text: ["slow ", "but ", "first"], delayMs: 60 });
    const { answer, sink } = await ask("hedged");
    expect(answer?.deployment).toBe("a");
    expect(sink.text).toBe("slow but first");
    expect(sink.spentTokens.map(({ deployment }) => deployment)).toEqual(["b"]);
    expect(sink.askedNames).toEqual(["a"]);
  });

  test("asks nobody else while the first is quick or fails early", async () => {
    const { ask } = world.models([{ ...hedged, hedgeAfterMs: 60_000 }]);
    await ask("hedged");
    expect(world.servers.b.requests).toHaveLength(0);
    world.servers.a.script({ status: 500 });
    const { answer, sink } = await ask("hedged");
    expect(answer?.deployment).toBe("b");
    expect(sink.spentTokens).toEqual([]);
  });

  test("ends with whoever stops it", async () => {
    const { ask } = world.models([hedged]);
    world.servers.a.script({ hang: "before_headers" });
    world.servers.b.script({ hang: "before_headers" });
    const controller = new AbortController();
    const asked = ask("hedged", {}, controller.signal);
    await expect.poll(() => world.servers.b.requests.length).toBe(1);
    controller.abort("cancelled");
    expect((await asked).error).toBe("cancelled");
  });
});
