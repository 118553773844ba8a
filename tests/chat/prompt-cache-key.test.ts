/** What OpenAI's own API is told so that the turns of a conversation meet the same prompt cache. */
import dns from "node:dns";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { startApp, type TestApp } from "../support/app.ts";
import { connectClients } from "../support/clients.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";

let provider: ProviderServer;
let app: TestApp | undefined;

beforeAll(async () => {
  provider = await startProviderServer();
  // The server at OpenAI's name: what is sent depends on it.
  const lookup = (
    _host: string,
    options: dns.LookupOptions,
    done: (...result: unknown[]) => void,
  ) =>
    options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);
  vi.spyOn(dns, "lookup").mockImplementation(lookup as unknown as typeof dns.lookup);
});
afterEach(() => app?.close());
afterAll(async () => {
  vi.restoreAllMocks();
  await provider?.close();
});

/** Two turns of one conversation, then one of another: what was sent of each. */
async function sentAt(baseUrl: string) {
  app = await startApp({ OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: baseUrl });
  const { chat } = connectClients(app);
  const before = provider.requests.length;
  const content = [{ part: { case: "text" as const, value: "Hello" } }];
  const { conversationId, userMessage } = await chat.sendMessage({ content });
  await chat.sendMessage({ content, conversationId });
  await chat.sendMessage({ content });
  const bodies = provider.requests.slice(before).map(({ body }) => body);
  const [user] = await app.database.sql<{ user_id: string }>("select user_id from conversations");
  return { bodies, ids: [conversationId, userMessage?.messageId ?? "", user?.user_id ?? ""] };
}

test("the turns of a conversation have one key, other conversations another, and no id is told", async () => {
  const { bodies, ids } = await sentAt(provider.openaiUrl.replace("127.0.0.1", "api.openai.com"));
  const keys = bodies.map((body) => body["prompt_cache_key"]);
  expect(keys).toEqual([expect.stringMatching(/^[\w-]{43}$/), keys[0], expect.any(String)]);
  expect(keys[2]).not.toBe(keys[0]);
  expect(ids.every((id) => id.length === 36)).toBe(true);
  for (const id of ids) expect(JSON.stringify(bodies)).not.toContain(id);
});

test("a compatible server, of which nothing is known, gets none", async () => {
  const { bodies } = await sentAt(provider.openaiUrl);
  expect(bodies).toHaveLength(3);
  for (const body of bodies) expect(body).not.toHaveProperty("prompt_cache_key");
});
