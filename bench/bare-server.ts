/**
 * The least that a Node program can do for a stored turn: node's own HTTP server, Tribe's two
 * statements on pipelined connections, a prompt sent by undici, JSON.parse and JSON.stringify. No
 * key, no limit, no validation, no failover, no log, no framework: whatever does more costs more.
 * Arguments: port, database URL, origin of the provider.
 */
import { randomUUIDv7 } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import { Pool } from "undici";
import { openExisting, settle } from "../src/chat/turn.statements.ts";
import { entities } from "../src/entities.ts";
import { createPostgres } from "../src/postgres/postgres.ts";
import { createSseParser } from "../src/providers/http/sse-parser.ts";

const [port, url = "", origin = ""] = process.argv.slice(2);
const model = "gpt-4o-mini";

interface Asked {
  conversationId: string;
  parentMessageId: string;
  content: { text: string }[];
}
interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}
interface Chunk {
  choices: { delta: { content?: string } }[];
  usage: Usage | null;
}
type Opened = [
  string,
  string,
  string,
  number,
  number,
  [string, string, { text: string }[], number][],
];

const database = await createPostgres({ url, entities, poolSize: 1 });
const owner = { name: "bare_owner", text: "select user_id from conversations where id = $1" };
let userId: string | null | undefined;

const provider = new Pool(origin, { connections: 1024, headersTimeout: 0, bodyTimeout: 0 });
const headers = ["content-type", "application/json", "authorization", "Bearer sk-bench"];

function complete(messages: object[]): Promise<{ text: string; usage: Usage }> {
  const body = JSON.stringify({
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
  });
  return new Promise((resolve, reject) => {
    let text = "";
    let usage: Usage | null = null;
    const parser = createSseParser((data) => {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data) as Chunk;
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    });
    provider.dispatch(
      { path: "/v1/chat/completions", method: "POST", headers, body },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData: (_controller, bytes) => parser.push(bytes),
        onResponseEnd: () =>
          usage ? resolve({ text, usage }) : reject(new Error("the stream has no usage")),
        onResponseError: (_controller, error) => reject(error),
      },
    );
  });
}

async function turn({ conversationId, parentMessageId, content }: Asked): Promise<string> {
  userId ??= (await database.run(owner, [conversationId]))[0]?.[0];
  const [runId, questionId, answerId] = [randomUUIDv7(), randomUUIDv7(), randomUUIDv7()];
  const stored = JSON.stringify(content.map(({ text }) => ({ type: "text", text })));
  const [row] = await database.run(openExisting, [
    conversationId,
    userId,
    "",
    null,
    questionId,
    stored,
    40,
    null,
    runId,
    null,
    answerId,
    model,
    null,
    null,
    parentMessageId,
    100_000,
  ]);
  const opened = JSON.parse(row?.[0] ?? "") as Opened;
  const history = opened[5].map(([, role, parts]) => ({ role, content: parts[0]?.text }));
  const { text, usage } = await complete([...history, { role: "user", content: content[0]?.text }]);
  const answer = JSON.stringify([{ type: "text", text }]);
  const [settled] = await database.run(settle, [
    runId,
    conversationId,
    "completed",
    model,
    "openai",
    null,
    null,
    answer,
    30,
    "stop",
    usage.prompt_tokens,
    0,
    0,
    usage.completion_tokens,
    0,
    1,
    userId,
    null,
    "bare",
    false,
  ]);
  return JSON.stringify({
    runId,
    conversationId,
    userMessage: { messageId: questionId, content, createTime: new Date(opened[4]) },
    assistantMessage: {
      messageId: answerId,
      content: [{ text }],
      createTime: new Date(Number(settled?.[0])),
    },
    usage,
  });
}

function end(response: ServerResponse, status: number, body: string): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": length });
  response.end(body);
}

createServer((request, response) => {
  if (request.method === "GET") return void response.end();
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    turn(JSON.parse(Buffer.concat(parts).toString()) as Asked).then(
      (body) => end(response, 200, body),
      (error: unknown) => end(response, 500, String(error)),
    );
  });
}).listen(Number(port), "127.0.0.1");
