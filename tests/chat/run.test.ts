import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { MessageStatus } from "../../gen/tribe/v1/message_pb.js";
import {
  RunState,
  type ResumeRunResponse,
  type StreamMessageResponse,
} from "../../gen/tribe/v1/chat_pb.js";
import { startApp, type TestApp } from "../support/app.ts";
import { connectClients } from "../support/clients.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";

let provider: ProviderServer;
let app: TestApp;
let clients: ReturnType<typeof connectClients>;

beforeAll(async () => {
  provider = await startProviderServer();
  app = await startApp({ OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: provider.openaiUrl });
  clients = connectClients(app);
});
afterAll(async () => {
  await app?.close();
  await provider?.close();
});

/** For polls: other tests keep the machine busy. */
const PATIENT = { timeout: 10_000 };

type Event = StreamMessageResponse | ResumeRunResponse;

const hello = { content: [{ part: { case: "text" as const, value: "Hello" } }] };
const words = Array.from({ length: 12 }, (_, index) => `word${index} `);

async function collect(events: AsyncIterable<Event>): Promise<Event[]> {
  const collected: Event[] = [];
  for await (const event of events) collected.push(event);
  return collected;
}
/** Starts a stream, leaves it after so many events, and gives the run. */
async function leaveAfter(count: number): Promise<{ runId: string; seen: Event[] }> {
  const seen: Event[] = [];
  const leaving = new AbortController();
  try {
    for await (const event of clients.chat.streamMessage(hello, { signal: leaving.signal })) {
      seen.push(event);
      if (seen.length === count) leaving.abort();
    }
  } catch (error) {
    if (ConnectError.from(error).code !== Code.Canceled) throw error;
  }
  return { runId: runIdOf(seen), seen: seen.slice(0, count) };
}
function runIdOf(events: readonly Event[]): string {
  const first = events[0]?.event;
  return first?.case === "runStarted" ? first.value.runId : "";
}
function textOf(events: readonly Event[]): string {
  return events.map(({ event }) => (event.case === "textDelta" ? event.value.text : "")).join("");
}
async function stateOf(runId: string): Promise<RunState | undefined> {
  return (await clients.chat.getRun({ runId })).run?.state;
}
async function failureOf(work: Promise<unknown>): Promise<ConnectError> {
  return work.then(
    () => expect.fail("did not fail"),
    (error: unknown) => ConnectError.from(error),
  );
}

describe("a stream", () => {
  it("tells what is stored: started, pieces in order, completed", async () => {
    provider.script({ text: words });
    const events = await collect(clients.chat.streamMessage(hello));
    expect(events.map(({ sequence }) => Number(sequence))).toEqual(
      events.map((_, index) => index + 1),
    );
    expect(events[0]?.event.case).toBe("runStarted");
    expect(textOf(events)).toBe(words.join(""));
    const last = events.at(-1)!.event;
    const response = last.case === "completed" ? last.value.response : undefined;
    const { messages } = await clients.conversations.listMessages({
      conversationId: response!.conversationId,
    });
    expect(messages).toEqual([response!.userMessage, response!.assistantMessage]);
  });

  it("stores the question before the provider is asked", async () => {
    provider.script({ hang: "before_headers" });
    const calls = provider.calls;
    const leaving = new AbortController();
    const streaming = collect(clients.chat.streamMessage(hello, { signal: leaving.signal }));
    await vi.waitFor(() => expect(provider.calls).toBe(calls + 1), PATIENT);
    const [run] = await app.database.sql<{ id: string; messages: number }>(
      `select id, (select count(*)::int from messages m where m.conversation_id = runs.conversation_id) as messages
       from runs where state = 'running'`,
    );
    expect(run?.messages).toBe(1);
    leaving.abort();
    expect((await failureOf(streaming)).code).toBe(Code.Canceled);
    await clients.chat.cancelRun({ runId: run!.id });
  });

  it("goes on without its caller, and is stored", async () => {
    provider.script({ text: words, delayMs: 15 });
    const { runId } = await leaveAfter(3);
    await vi.waitFor(async () => expect(await stateOf(runId)).toBe(RunState.COMPLETED), PATIENT);
    const events = await collect(clients.chat.resumeRun({ runId }));
    expect(textOf(events)).toBe(words.join(""));
  });

  it("is resumed exactly where it was left, live", async () => {
    provider.script({ text: words, delayMs: 15 });
    const { runId, seen } = await leaveAfter(4);
    const afterSequence = seen.at(-1)!.sequence;
    const rest = await collect(clients.chat.resumeRun({ runId, afterSequence }));
    expect(rest[0]?.sequence).toBe(afterSequence + 1n);
    expect(textOf(seen) + textOf(rest)).toBe(words.join(""));
    expect(rest.at(-1)?.event.case).toBe("completed");
  });
});

describe("ResumeRun", () => {
  it("tells the end of a run also to who has had it", async () => {
    const events = await collect(clients.chat.streamMessage(hello));
    const runId = runIdOf(events);
    for (const afterSequence of [events.at(-1)!.sequence, 999n]) {
      const again = await collect(clients.chat.resumeRun({ runId, afterSequence }));
      expect(again.map(({ event }) => event)).toEqual([events.at(-1)!.event]);
    }
  });

  it("tells the pieces of a run that nobody followed to all who have had none", async () => {
    provider.script({ text: words }, { text: words });
    for (const afterSequence of [0n, 1n]) {
      const { runId } = await clients.chat.sendMessage(hello);
      const events = await collect(clients.chat.resumeRun({ runId, afterSequence }));
      expect(events[0]?.sequence).toBe(afterSequence + 1n);
      expect(textOf(events)).toBe(words.join(""));
      expect(events.at(-1)?.event.case).toBe("completed");
    }
  });
});

describe("CancelRun", () => {
  it("stops the provider call and keeps what had arrived", async () => {
    provider.script({ text: words, hang: 5 });
    const { runId, seen } = await leaveAfter(3);
    const { run } = await clients.chat.cancelRun({ runId });
    expect(run?.state).toBe(RunState.CANCELLED);
    await vi.waitFor(() => expect(provider.requests.at(-1)?.aborted).toBe(true), PATIENT);
    const { messages } = await clients.conversations.listMessages({
      conversationId: run!.conversationId,
    });
    expect(messages.at(-1)).toMatchObject({
      messageId: run!.assistantMessageId,
      status: MessageStatus.CANCELLED,
    });
    const events = await collect(clients.chat.resumeRun({ runId }));
    expect(textOf(events).startsWith(textOf(seen))).toBe(true);
    const last = events.at(-1)?.event;
    expect(last?.case === "failed" && last.value.state).toBe(RunState.CANCELLED);
  });

  it("leaves a run alone that has ended, and finds no other's", async () => {
    const { runId } = await clients.chat.sendMessage(hello);
    expect((await clients.chat.cancelRun({ runId })).run?.state).toBe(RunState.COMPLETED);
    const error = await failureOf(clients.chat.cancelRun({ runId: randomUUID() }));
    expect(error.code).toBe(Code.NotFound);
  });
});

describe("an idempotency key", () => {
  it("gives the stored answer to a retry, streamed or not, and asks the provider once", async () => {
    const request = { ...hello, idempotencyKey: randomUUID() };
    const calls = provider.calls;
    const first = await clients.chat.sendMessage(request);
    expect(await clients.chat.sendMessage(request)).toEqual(first);
    const events = await collect(clients.chat.streamMessage(request));
    const last = events.at(-1)!.event;
    expect(last.case === "completed" && last.value.response).toEqual(first);
    expect(provider.calls).toBe(calls + 1);
    const usage = await app.database.sql("select 1 from usage where run_id = ?", [first.runId]);
    expect(usage).toHaveLength(1);
  });

  it("makes one run of ten requests at once, by header as by field", async () => {
    const key = randomUUID();
    const calls = provider.calls;
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        index % 2 === 0
          ? clients.chat.sendMessage({ ...hello, idempotencyKey: key })
          : clients.chat.sendMessage(hello, { headers: { "idempotency-key": key } }),
      ),
    );
    expect(new Set(answers.map(({ runId }) => runId)).size).toBe(1);
    expect(provider.calls).toBe(calls + 1);
  });

  it("is refused for another request, and tells clients not to try again", async () => {
    const idempotencyKey = randomUUID();
    await clients.chat.sendMessage({ ...hello, idempotencyKey });
    const error = await failureOf(
      clients.chat.sendMessage({ ...hello, system: "Else", idempotencyKey }),
    );
    expect(error.code).toBe(Code.AlreadyExists);
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe("IDEMPOTENCY_KEY_REUSED");
    expect(error.metadata.get("x-should-retry")).toBe("false");
  });
});
