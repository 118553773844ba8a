import { afterAll, beforeAll, expect, it } from "vitest";
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

const tools = [
  {
    name: "look",
    description: "Looks something up.",
    parameters: { type: "object", properties: { word: { type: "string" } } },
  },
];

/** The request as its provider hashes it for the cache: marks are no part of what is marked. */
function cacheable(body: Readonly<Record<string, unknown>>): string {
  const { messages, system, tools: sent } = body as { messages: unknown[] } & typeof body;
  const unmarked = (value: unknown) =>
    JSON.stringify(value, (name, inner: unknown) => (name === "cache_control" ? undefined : inner));
  return [sent, system, ...messages].map(unmarked).join("\n");
}

it.each(["gpt-4.1-mini", "claude-sonnet-5-5"])(
  "each turn of a conversation begins with all that the turn before sent (%s)",
  async (model) => {
    const before = provider.requests.length;
    let conversationId = "";
    for (const text of ["First", "Second, with “signs”", "Third\n\nand more", "Fourth"]) {
      const response = await clients.chat.sendMessage({
        conversationId,
        model,
        system: "You are brief.",
        tools,
        content: [{ part: { case: "text", value: text } }],
      });
      conversationId = response.conversationId;
    }
    const sent = provider.requests.slice(before).map(({ body }) => cacheable(body));
    expect(sent).toHaveLength(4);
    for (const [turn, text] of sent.slice(1).entries()) {
      expect(text.startsWith(`${sent[turn]}\n`)).toBe(true);
    }
  },
);

it("a conversation says how much of what it sent its providers had cached", async () => {
  provider.script(
    { usage: { freshInputTokens: 100, cacheWriteTokens: 900, outputTokens: 10 } },
    { usage: { freshInputTokens: 50, cachedInputTokens: 950, outputTokens: 10 } },
  );
  let conversationId = "";
  for (const text of ["First", "Second"]) {
    const content = [{ part: { case: "text" as const, value: text } }];
    ({ conversationId } = await clients.chat.sendMessage({ conversationId, content }));
  }
  const { conversation } = await clients.conversations.getConversation({ conversationId });
  expect(conversation).toMatchObject({ inputTokens: 2000n, cachedInputTokens: 950n });
});
