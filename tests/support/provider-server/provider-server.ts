/**
 * A server that speaks the wire formats of OpenAI (`/v1/chat/completions`) and
 * Anthropic (`/v1/messages`), streamed and not. It answers well unless a script
 * says otherwise, and keeps a journal of what it received and billed.
 */
import { once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Answer } from "./answer.ts";
import { pieces, tokensOf } from "./answer.ts";
import type { Reply, ReplyUsage } from "./reply.ts";
import { sendEvents } from "./send-events.ts";
import { WIRES } from "./wires.ts";

/** A call that the server received. */
export interface ReceivedRequest {
  wire: "openai" | "anthropic";
  headers: IncomingHttpHeaders;
  /** Tells connections apart. */
  remotePort: number | undefined;
  body: Readonly<Record<string, unknown>>;
  /** What it would put on the bill: unset while the answer is not wholly sent. */
  billed?: ReplyUsage;
  /** Whether the client went away before the end. */
  aborted: boolean;
}

export interface ProviderServer {
  /** `http://127.0.0.1:<port>`: the Anthropic base URL. */
  readonly url: string;
  /** The OpenAI base URL: `url` with `/v1`. */
  readonly openaiUrl: string;
  /** The latest calls, the oldest first. */
  readonly requests: ReceivedRequest[];
  /** All calls since the start, however many the journal keeps. */
  readonly calls: number;
  /** Queues replies for the next calls, one each. After them comes the default again. */
  script(...replies: Reply[]): void;
  close(): Promise<void>;
}

export interface ProviderServerOptions {
  /** What is answered when no script is queued. Default: twenty words. */
  reply?: Reply;
  /** Whether answers end at the request's own limit, as those of true providers do. */
  keepsLimits?: boolean;
  /** How many calls the journal keeps. Default: 1,000. */
  journalSize?: number;
  /** Default: any free one. */
  port?: number;
}

const PLAIN_REPLY: Reply = {
  text: "This is a plain good answer that comes in twenty small pieces so that streaming can be seen by every test.",
};

export async function startProviderServer(
  options: ProviderServerOptions = {},
): Promise<ProviderServer> {
  const requests: ReceivedRequest[] = [];
  const scripted: Reply[] = [];
  const journalSize = options.journalSize ?? 1000;
  let calls = 0;

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const wire = wireOf(request);
    if (wire === undefined) {
      response.writeHead(404, { "content-type": "text/plain" }).end(`no ${request.url} here`);
      return;
    }
    const body = JSON.parse(await readBody(request)) as Record<string, unknown>;
    const entry: ReceivedRequest = {
      wire,
      headers: request.headers,
      remotePort: request.socket.remotePort,
      body,
      aborted: false,
    };
    calls += 1;
    requests.push(entry);
    if (requests.length > journalSize) requests.shift();
    response.on("close", () => {
      if (!response.writableFinished) entry.aborted = true;
    });
    const reply = { ...(scripted.shift() ?? options.reply ?? PLAIN_REPLY) };
    if (!hasContent(reply)) reply.text = PLAIN_REPLY.text as string;
    if (options.keepsLimits) cutAtLimit(reply, body);
    if (await send({ reply, model: reply.model ?? String(body["model"]), body }, wire, response)) {
      entry.billed = tokensOf({ reply, model: "", body });
    }
  }

  server.keepAliveTimeout = 60_000;
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    openaiUrl: `${url}/v1`,
    requests,
    get calls() {
      return calls;
    },
    script: (...replies) => void scripted.push(...replies),
    async close() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, "close");
    },
  };
}

function cutAtLimit(reply: Reply, body: Readonly<Record<string, unknown>>) {
  const limit = Number(body["max_completion_tokens"] ?? body["max_tokens"] ?? Infinity);
  const whole = pieces(reply.text);
  if (whole.length <= limit) return;
  reply.text = whole.slice(0, limit);
  reply.finishReason = "length";
}

/** Sends the reply. True when the whole answer was sent. */
async function send(
  answer: Answer,
  wire: "openai" | "anthropic",
  response: ServerResponse,
): Promise<boolean> {
  const { reply, body } = answer;
  const format = WIRES[wire];
  if (reply.hang === "before_headers") return false;
  if (reply.resetAfter === 0) {
    response.socket?.resetAndDestroy();
    return false;
  }
  const headers = { "x-request-id": "req_test", "request-id": "req_test", ...reply.headers };
  const status = reply.status ?? 200;
  if (status !== 200) {
    const error = reply.error ?? format.error(status);
    const text = typeof error === "string" ? error : JSON.stringify(error);
    response.writeHead(status, { "content-type": "application/json", ...headers }).write(text);
    if (reply.hang !== "after_headers") response.end();
    return false;
  }
  if (body["stream"] !== true) {
    const text = JSON.stringify(format.unary(answer));
    response
      .writeHead(200, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
        ...headers,
      })
      .end(text);
    return true;
  }
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    ...headers,
  });
  const events = reply.raw ?? format.events(answer);
  if (reply.errorAfter === undefined) return sendEvents(response, events, reply);
  const failing = [...events.slice(0, reply.errorAfter), format.errorEvent(reply.error)];
  await sendEvents(response, failing, reply);
  return false;
}

function hasContent(reply: Reply): boolean {
  return reply.text !== undefined || reply.toolCalls !== undefined || reply.reasoning !== undefined;
}

function wireOf(request: IncomingMessage): "openai" | "anthropic" | undefined {
  if (request.method !== "POST") return undefined;
  const path = request.url?.split("?")[0];
  if (path === "/v1/chat/completions") return "openai";
  return path === "/v1/messages" ? "anthropic" : undefined;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
