import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { RunState } from "../gen/tribe/v1/chat_pb.js";
import { type Message, MessageStatus } from "../gen/tribe/v1/message_pb.js";
import { connectClients } from "./support/clients.ts";
import { makeFolder } from "./support/folder.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "./support/provider-server/provider-server.ts";

const folder = makeFolder();
const directory = join(folder.path, ".tribe");
const program = join(import.meta.dirname, "../src/main.ts");
let provider: ProviderServer;
let running: ChildProcess | undefined;

beforeAll(async () => {
  provider = await startProviderServer();
});
afterEach(() => end("SIGTERM"));
afterAll(async () => {
  await provider.close();
  folder.remove();
});

/** Starts the program as `npm start` does, on the embedded servers, and waits until it says it is ready. */
async function start() {
  const child = spawn(process.execPath, [program], {
    env: {
      PATH: process.env["PATH"],
      TRIBE_DIR: directory,
      HTTP_PORT: "0",
      GRPC_PORT: "0",
      METRICS_PORT: "0",
      OPENAI_BASE_URL: provider.openaiUrl,
      OPENAI_API_KEY: "sk-test",
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  running = child;
  let said = "";
  child.stderr.on("data", (chunk) => (said += String(chunk)));
  await vi.waitFor(() => expect(said).toContain("Tribe is ready"), { timeout: 60_000 });
  const baseUrl = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0] ?? "";
  const key = (await readFile(join(directory, "admin-key"), "utf8")).trim();
  return { said, ...connectClients({ baseUrl, key }) };
}

async function end(signal: NodeJS.Signals): Promise<number | null> {
  const child = running;
  running = undefined;
  if (child === undefined || child.exitCode !== null) return null;
  child.kill(signal);
  const [code] = (await once(child, "exit")) as [number | null];
  return code;
}

const hello = { content: [{ part: { case: "text" as const, value: "Hello" } }] };

it("has everything that was acknowledged after kill -9 in the middle of a stream", async () => {
  const before = await start();
  const first = await before.chat.sendMessage(hello);
  const { conversationId } = first;
  const acknowledged: (Message | undefined)[] = [first.userMessage, first.assistantMessage];

  let runId = "";
  provider.script({ text: "one two three four five six", hang: 4 });
  for await (const { event } of before.chat.streamMessage({ conversationId, ...hello })) {
    if (event.case === "runStarted") {
      runId = event.value.runId;
      acknowledged.push(event.value.userMessage);
    }
    if (event.case === "textDelta") break;
  }
  await end("SIGKILL");

  const after = await start();
  const { messages } = await after.conversations.listMessages({ conversationId });
  expect(messages.slice(0, 3)).toEqual(acknowledged);
  // Nobody else can be generating it: it is not said to run until its lease is over.
  expect(messages.slice(3)).toMatchObject([
    { runId, status: MessageStatus.INTERRUPTED, parentMessageId: messages[2]?.messageId },
  ]);
  expect(await after.chat.getRun({ runId })).toMatchObject({
    run: { state: RunState.INTERRUPTED, errorReason: "RUN_INTERRUPTED" },
  });
  const next = await after.chat.sendMessage({ conversationId, ...hello });
  expect(next.userMessage?.parentMessageId).toBe(messages[3]?.messageId);
}, 180_000);

it("ends with status 0 on SIGTERM, and says plainly that it runs already", async () => {
  await start();
  const second = spawn(process.execPath, [program], {
    env: { PATH: process.env["PATH"], TRIBE_DIR: directory },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  second.stderr.on("data", (chunk) => (said += String(chunk)));
  const [code] = (await once(second, "exit")) as [number | null];
  expect(code).toBe(1);
  expect(said).toMatch(/already runs here \(process \d+, http:\/\/127/);
  expect(await end("SIGTERM")).toBe(0);
}, 180_000);
