/**
 * The provider of a drill, a process of its own: speaks both wire formats, fails as it is
 * told, and keeps account of every piece that it has sent.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { tokensOf } from "../support/provider-server/answer.ts";
import { WIRES } from "../support/provider-server/wires.ts";
import type { PlannedReply } from "./plan.ts";
import type { ProviderCall, ProviderNews, ProviderOrder } from "./provider-journal.ts";
import { answerPieces, operationOf } from "./words.ts";

interface Body {
  model: string;
  messages: { role: string; content: unknown }[];
  max_tokens?: number;
  max_completion_tokens?: number;
}

let script: Record<number, PlannedReply[]> = {};
let calls: ProviderCall[] = [];

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = (await json(request)) as Body;
  const wire = request.url?.includes("/messages") ? "anthropic" : "openai";
  const operation = operationOf(JSON.stringify(body.messages.at(-1)?.content)) ?? -1;
  const attempt = calls.filter((call) => call.operation === operation).length;
  const reply = script[operation]?.[attempt] ?? { kind: "good", pieces: 3, delayMs: 0 };
  const call: ProviderCall = {
    operation,
    attempt,
    wire,
    reply,
    inputTokens: tokensOf({ reply: {}, model: "", body: { messages: body.messages } })
      .freshInputTokens,
    sent: [],
    toldInput: false,
    isWhole: false,
    isOpen: true,
  };
  calls.push(call);
  response.on("close", () => (call.isOpen = false));
  if (reply.kind === "hang") return;
  if (reply.kind === "status") {
    if (reply.retryAfter !== undefined) response.setHeader("retry-after", reply.retryAfter);
    response
      .writeHead(reply.status, { "content-type": "application/json" })
      .end(JSON.stringify(WIRES[wire].error(reply.status)));
    return;
  }
  await stream(response, call, reply, body);
}

async function stream(
  response: ServerResponse,
  call: ProviderCall,
  reply: Exclude<PlannedReply, { kind: "hang" | "status" }>,
  { model, max_tokens, max_completion_tokens, messages }: Body,
): Promise<void> {
  const limit = max_completion_tokens ?? max_tokens ?? Infinity;
  // A fault comes before the end: there is always more to say.
  const wanted = reply.kind === "good" ? reply.pieces : reply.pieces + 5;
  const text = answerPieces(call.operation, call.attempt, Math.min(wanted, limit));
  const usage = { freshInputTokens: call.inputTokens, outputTokens: text.length };
  const finishReason = call.wire === "openai" ? "length" : "max_tokens";
  const events = WIRES[call.wire].events({
    reply: { text, usage, ...(wanted > limit && { finishReason }) },
    model,
    body: { messages, stream: true, stream_options: { include_usage: true } },
  });
  response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  for (const event of events) {
    const piece = text[call.sent.length];
    const isPiece = piece !== undefined && event.includes(JSON.stringify(piece));
    if (isPiece) {
      if (reply.kind !== "good" && call.sent.length >= reply.pieces)
        return breakOff(response, reply);
      if (reply.delayMs > 0) await delay(reply.delayMs);
    }
    if (!call.isOpen) return;
    await new Promise((resolve) => response.write(event, resolve));
    if (isPiece) call.sent.push(piece);
    else if (event.includes('"message_start"')) call.toldInput = true;
  }
  call.isWhole = true;
  response.end();
}

function breakOff(response: ServerResponse, { kind }: PlannedReply): void {
  if (kind === "cut") response.socket?.resetAndDestroy();
  else if (kind === "truncated") response.end();
  // A stall: the client gives it up.
}

function tell(news: ProviderNews): void {
  process.send?.(news);
}

process.on("message", (message: ProviderOrder) => {
  if (message.order === "script") {
    script = message.replies;
    calls = [];
  } else tell({ news: "journal", calls });
});
process.on("disconnect", () => process.exit());

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
tell({ news: "listening", port: (server.address() as AddressInfo).port });
