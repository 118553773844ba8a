import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { RateClass } from "../../gen/tribe/v1/policy_pb.js";
import { createEventLoopGauge } from "../../src/limits/event-loop-gauge.ts";
import { createOverload } from "../../src/limits/overload.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { connectClients } from "../support/clients.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";

const classes = [
  RateClass.HEAVY,
  RateClass.READ,
  RateClass.WRITE,
  RateClass.AUTH,
  RateClass.CHAT,
  RateClass.HEALTH,
];

describe("a gauge", () => {
  it.each([
    [0, []],
    [59, []],
    [60, [RateClass.HEAVY]],
    [70, [RateClass.HEAVY, RateClass.READ]],
    [80, [RateClass.HEAVY, RateClass.READ, RateClass.WRITE]],
    [90, [RateClass.HEAVY, RateClass.READ, RateClass.WRITE, RateClass.AUTH]],
    [100, classes.slice(0, 5)],
    [100_000, classes.slice(0, 5)],
  ])("at %i of 100 makes the less important classes be refused", (reading, expected) => {
    const calm = { name: "calm", limit: 1000, read: () => reading };
    const overload = createOverload([calm, { name: "full", limit: 100, read: () => reading }]);
    const refused = classes.filter((rateClass) => overload.refusal(rateClass) !== undefined);
    expect(refused).toEqual(expected);
    expect(overload.refused()).toEqual(Object.fromEntries(refused.map((it) => [it, 1])));
    expect(overload.pressure().level).toBe(reading / 100);
  });
});

it("an event loop that is always late is noticed, and that it is in time again", async () => {
  const gauge = createEventLoopGauge(100);
  try {
    await expect
      .poll(
        async () => {
          const until = performance.now() + 300;
          while (performance.now() < until);
          await turnOfTheLoop();
          return gauge.read();
        },
        { timeout: 30_000, interval: 1 },
      )
      .toBeGreaterThan(gauge.limit);
    await expect.poll(gauge.read, { timeout: 30_000 }).toBeLessThan(gauge.limit / 2);
  } finally {
    gauge.stop();
  }
});

describe("a service with more calls than it may take on", () => {
  let provider: ProviderServer;
  let app: TestApp;
  let clients: ReturnType<typeof connectClients>;
  const leaving = new AbortController();
  const streams: Promise<unknown>[] = [];

  beforeAll(async () => {
    provider = await startProviderServer({ reply: { hang: 2 } });
    app = await startApp({
      MAX_CALLS: "10",
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: provider.openaiUrl,
    });
    clients = connectClients(app);
  });
  afterAll(async () => {
    leaving.abort();
    await Promise.all(streams);
    await app?.close();
    await provider?.close();
  });

  const hello = { content: [{ part: { case: "text" as const, value: "Hello" } }] };

  /** Begins streams that do not end; resolves once each has its run. */
  async function begin(count: number) {
    for (let index = 0; index < count; index++) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const follow = async () => {
        const { signal } = leaving;
        for await (const _ of clients.chat.streamMessage(hello, { signal })) resolve();
      };
      streams.push(follow().catch(reject));
      await promise;
    }
  }
  const outcome = (call: Promise<unknown>) =>
    call.then(
      () => "answered",
      (error: unknown) => ConnectError.from(error),
    );

  it("refuses search first, then reads, then turns, and health never", async () => {
    await begin(6);
    const refused = await outcome(clients.conversations.searchMessages({ query: "word" }));
    expect(refused).toMatchObject({ code: Code.Unavailable });
    const error = refused as ConnectError;
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe("OVERLOADED");
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
    expect(await outcome(clients.conversations.listConversations({}))).toBe("answered");

    await begin(1);
    const read = await fetch(`${app.baseUrl}/api/v1/conversations`, {
      headers: { "x-api-key": app.key },
    });
    expect(read.status).toBe(503);
    expect(Number(read.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await outcome(clients.conversations.createConversation({}))).toBe("answered");

    await begin(3);
    expect(await outcome(clients.chat.sendMessage(hello))).toMatchObject({
      code: Code.Unavailable,
    });
    const calls = provider.calls;
    for (const path of ["/health", "/health/live", "/health/ready"]) {
      expect((await fetch(app.baseUrl + path)).status).toBe(200);
    }
    expect(provider.calls).toBe(calls);
    const status = async () => {
      const headers = { "x-api-key": app.key };
      const response = await fetch(`${app.baseUrl}/health/detailed`, { headers });
      return ((await response.json()) as { status: string }).status;
    };
    await expect.poll(status, { timeout: 10_000 }).toBe("HEALTH_STATUS_DEGRADED");
  });
});
