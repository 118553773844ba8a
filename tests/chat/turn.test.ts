import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  FinishReason,
  MessageRole,
  MessageStatus,
  type Message,
} from "../../gen/tribe/v1/message_pb.js";
import type { SendMessageResponse, StreamMessageResponse } from "../../gen/tribe/v1/chat_pb.js";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { connectClients } from "../support/clients.ts";
import { startApp, type TestApp } from "../support/app.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";

let provider: ProviderServer;
let app: TestApp;
let clients: ReturnType<typeof connectClients>;

beforeAll(async () => {
  provider = await startProviderServer();
  app = await startApp({
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
    ANTHROPIC_API_KEY: "sk-ant-test",
    ANTHROPIC_BASE_URL: provider.url,
  });
  clients = connectClients(app);
});
afterAll(async () => {
  await app?.close();
  await provider?.close();
});

const text = (value: string) => ({ part: { case: "text" as const, value } });
function say(value: string, more: Record<string, unknown> = {}): Promise<SendMessageResponse> {
  return clients.chat.sendMessage({ content: [text(value)], ...more });
}
function textOf(message: Message | undefined): string {
  return (
    message?.content.map(({ part }) => (part.case === "text" ? part.value : "")).join("") ?? ""
  );
}
async function messagesOf(conversationId: string): Promise<Message[]> {
  const { messages } = await clients.conversations.listMessages({ conversationId });
  return messages;
}
async function failureOf(work: Promise<unknown>): Promise<ConnectError> {
  return work.then(
    () => expect.fail("did not fail"),
    (error: unknown) => ConnectError.from(error),
  );
}
function lastRequest(): { messages: { role: string; content: unknown }[] } {
  return provider.requests.at(-1)!.body as never;
}

describe("a turn", () => {
  it("answers, and stores question, answer, usage and exact cost", async () => {
    provider.script({
      text: ["Hel", "lo"],
      usage: {
        freshInputTokens: 800,
        cachedInputTokens: 200,
        outputTokens: 50,
        reasoningTokens: 20,
      },
    });
    const model = (await clients.chat.listModels({})).models.find(
      (it) => it.provider === "openai" && it.price,
    )!;
    const answer = await say("Hi", { model: model.model, metadata: { ticket: "7" } });

    expect(textOf(answer.assistantMessage)).toBe("Hello");
    expect(answer.userMessage).toMatchObject({ role: MessageRole.USER, metadata: { ticket: "7" } });
    expect(answer).toMatchObject({
      model: model.model,
      provider: "openai",
      finishReason: FinishReason.STOP,
      cached: false,
      usage: {
        inputTokens: 1000n,
        cachedInputTokens: 200n,
        outputTokens: 50n,
        reasoningTokens: 20n,
      },
    });
    const { inputMicros, cachedInputMicros, outputMicros } = model.price!;
    const exact = 800n * inputMicros + 200n * cachedInputMicros + 50n * outputMicros;
    expect(answer.costMicros).toBe((exact + 500_000n) / 1_000_000n);

    const [question, stored] = await messagesOf(answer.conversationId);
    expect(question).toEqual(answer.userMessage);
    expect(stored).toEqual(answer.assistantMessage);
    const rows = await app.database.sql<{ cost: string; input: string; rows: string }>(
      `select cost_micros::text as cost, input_tokens::text as input,
         (select count(*)::text from runs where state = 'completed' and id = run_id) as rows
       from usage where run_id = ?`,
      [answer.runId],
    );
    expect(rows).toEqual([{ cost: String(answer.costMicros), input: "1000", rows: "1" }]);
  });

  it("sends the branch that it continues, with the conversation's system prompt", async () => {
    const first = await say("One", { system: "Be brief." });
    const second = await say("Two", { conversationId: first.conversationId });
    expect(second.userMessage?.parentMessageId).toBe(first.assistantMessage?.messageId);
    expect(lastRequest().messages.map(({ role }) => role)).toEqual([
      expect.stringMatching(/system|developer/),
      "user",
      "assistant",
      "user",
    ]);
  });

  it("branches where the caller says, and keeps questions beside their answers", async () => {
    const first = await say("One");
    const { conversationId } = first;
    await say("Two", { conversationId });
    const branch = await say("Other two", {
      conversationId,
      parentMessageId: first.assistantMessage?.messageId,
    });
    expect(lastRequest().messages).toHaveLength(3);
    const messages = await messagesOf(conversationId);
    expect(messages.map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
    for (const message of messages) {
      if (message.role !== MessageRole.ASSISTANT) continue;
      const question = messages.find((it) => it.messageId === message.parentMessageId);
      expect(message.sequence).toBe(question!.sequence + 1n);
    }
    const { conversation } = await clients.conversations.getConversation({ conversationId });
    expect(conversation?.headMessageId).toBe(branch.assistantMessage?.messageId);
  });

  it("keeps twenty turns at once in one conversation in order, a tree without strays", async () => {
    const { conversationId } = await say("Root");
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => say(`Question ${index}`, { conversationId })),
    );
    const messages = await messagesOf(conversationId);
    const byId = new Map(messages.map((message) => [message.messageId, message]));
    expect(messages.map(({ sequence }) => Number(sequence))).toEqual(
      Array.from({ length: 42 }, (_, index) => index + 1),
    );
    for (const { parentMessageId, role, sequence } of messages.slice(1)) {
      const parent = byId.get(parentMessageId)!;
      expect(parent.role).not.toBe(role);
      expect(parent.sequence < sequence).toBe(true);
    }
    const { conversation } = await clients.conversations.getConversation({ conversationId });
    expect(byId.get(conversation!.headMessageId)?.role).toBe(MessageRole.ASSISTANT);
  });

  it("calls tools: gives the call, takes the result, and sends both on", async () => {
    const tools = [{ name: "weather", description: "", parameters: { type: "object" } }];
    provider.script({
      toolCalls: [{ id: "call_1", name: "weather", arguments: '{"city":"Ulm"}' }],
    });
    const asked = await say("Weather in Ulm?", { tools });
    expect(asked.finishReason).toBe(FinishReason.TOOL_CALLS);
    expect(asked.assistantMessage?.content[0]?.part).toMatchObject({
      case: "toolCall",
      value: { toolCallId: "call_1", name: "weather", arguments: '{"city":"Ulm"}' },
    });
    const { conversationId } = asked;

    const unanswered = await failureOf(say("Never mind", { conversationId, tools }));
    expect(unanswered.code).toBe(Code.InvalidArgument);
    expect(unanswered.rawMessage).toContain("call_1");
    expect(await messagesOf(conversationId)).toHaveLength(2);

    const value = { toolCallId: "call_1", content: "Rain" };
    await clients.chat.sendMessage({
      conversationId,
      tools,
      content: [{ part: { case: "toolResult", value } }],
    });
    expect(lastRequest().messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool"]);
  });
});

describe("a provider that fails", () => {
  it("leaves the question and a FAILED answer with what had arrived", async () => {
    provider.script({ text: ["Par", "tial", " answer"], errorAfter: 3 });
    const error = await failureOf(say("Hi"));
    expect(error.code).toBe(Code.Unavailable);
    expect(error.rawMessage).toMatch(/openai/i);
    const [info] = error.findDetails(ErrorInfoSchema);
    expect(info?.reason).toMatch(/^PROVIDER_/);
    const messages = await messagesOf(info!.metadata["conversationId"]!);
    expect(messages.map(({ status }) => status)).toEqual([
      MessageStatus.COMPLETED,
      MessageStatus.FAILED,
    ]);
    expect(messages[1]?.messageId).toBe(info!.metadata["assistantMessageId"]);
    expect("Partial answer").toContain(textOf(messages[1]));
    expect(textOf(messages[1])).not.toBe("");
  });

  it.each([
    [401, 1, Code.Unavailable],
    [429, 3, Code.ResourceExhausted],
    [500, 3, Code.Unavailable],
    [529, 3, Code.Unavailable],
  ])("says so when it answers %i to %i calls", async (status, calls, code) => {
    provider.script(...Array.from({ length: calls }, () => ({ status })));
    // A model of its own, which is left alone afterwards.
    const error = await failureOf(say("Hi", { model: `openai/failing-${status}` }));
    expect(error.code).toBe(code);
    expect(error.rawMessage).not.toContain("sk-test");
    const [info] = error.findDetails(ErrorInfoSchema);
    expect(info?.reason).toMatch(/^PROVIDER_/);
  });

  it("ends a stream with `failed`, and the conversation goes on", async () => {
    provider.script({ text: ["One ", "two "], truncateAfter: 2 });
    const events: StreamMessageResponse[] = [];
    for await (const event of clients.chat.streamMessage({ content: [text("Hi")] }))
      events.push(event);
    const last = events.at(-1)!.event;
    expect(last.case).toBe("failed");
    const failed = last.case === "failed" ? last.value : undefined;
    expect(failed?.assistantMessage?.status).toBe(MessageStatus.FAILED);
    const { conversationId } = failed!.assistantMessage!;
    const next = await say("Again", { conversationId });
    expect(next.userMessage?.parentMessageId).toBe(failed!.assistantMessage!.messageId);
  });
});

describe("bad input", () => {
  const id = "01a2062f-69e7-7da2-83f6-89447b896e80";
  it.each([
    ["no content", {}, "content"],
    ["an empty part", { content: [{}] }, "content[0]"],
    ["empty text", { content: [text("")] }, "content[0].text"],
    ["nothing but white space", { content: [text(" \n"), text("\t")] }, "content:"],
    ["10 MB", { content: [text("x".repeat(10_000_000))] }, "content[0].text"],
    ["an unknown model", { content: [text("Hi")], model: "gpt-0" }, "model"],
    [
      "a parent without its conversation",
      { content: [text("Hi")], parentMessageId: id },
      "conversationId",
    ],
    [
      "a conversation id that is none",
      { content: [text("Hi")], conversationId: "7" },
      "conversationId",
    ],
    ["NUL", { content: [text("a\0b")] }, "content[0].text"],
    ["too hot", { content: [text("Hi")], temperature: 3 }, "temperature"],
    [
      "more than the context",
      {
        content: [
          text("word ".repeat(190_000)),
          text("word ".repeat(190_000)),
          text("word ".repeat(190_000)),
          text("word ".repeat(190_000)),
          text("word ".repeat(190_000)),
          text("word ".repeat(190_000)),
        ],
      },
      "content",
    ],
  ])("%s names the field and stores nothing", async (_, request, field) => {
    const [before] = await app.database.sql("select count(*) from messages");
    const calls = provider.calls;
    const error = await failureOf(clients.chat.sendMessage(request as never));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toContain(field);
    expect(await app.database.sql("select count(*) from messages")).toEqual([before]);
    expect(provider.calls).toBe(calls);
  });

  it("finds no parent in another conversation", async () => {
    const one = await say("One");
    const two = await say("Two");
    const error = await failureOf(
      say("Hi", {
        conversationId: one.conversationId,
        parentMessageId: two.assistantMessage?.messageId,
      }),
    );
    expect(error.code).toBe(Code.NotFound);
    expect(error.rawMessage).toContain("parentMessageId");
    expect(await messagesOf(one.conversationId)).toHaveLength(2);
  });
});
