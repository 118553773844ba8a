/**
 * An OpenAI chat completions server that costs as little as possible, so that
 * the other core stays free for PostgreSQL and the load. Every answer has the
 * same number of pieces: whole in one JSON body, or streamed, each piece in a
 * write of its own as a model would send it.
 *
 * Run by fork(): tells its port as the first message, then takes ProviderSettings.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { answerPieces, answerText } from "./answer.ts";

/** How to answer from now on. */
export interface ProviderSettings {
  /** Pieces of an answer. */
  pieces: number;
  /** Milliseconds between two pieces; 0: one in every turn of the event loop. */
  pieceInterval: number;
}

const model = "gpt-4o-mini-2024-07-18";
const usage = {
  prompt_tokens: 900,
  completion_tokens: 100,
  total_tokens: 1000,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
};
const shared = { id: "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", created: 1741570283, model };

function event(delta: object, finishReason: string | null = null): string {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: finishReason }];
  return chunk({ choices, usage: null });
}

function chunk(rest: object): string {
  const { id, created } = shared;
  const head = { id, object: "chat.completion.chunk", created, model };
  const body = { ...head, service_tier: "default", system_fingerprint: "fp_06737a9306", ...rest };
  return `data: ${JSON.stringify(body)}\n\n`;
}

/** The writes of a stream: the role, every piece, and the end with its usage. */
function streamWrites(pieces: number): Buffer[] {
  const end = event({}, "stop") + chunk({ choices: [], usage }) + "data: [DONE]\n\n";
  return [
    event({ role: "assistant", content: "", refusal: null }),
    ...answerPieces(pieces).map((content) => event({ content })),
    end,
  ].map((text) => Buffer.from(text));
}

function wholeBody(pieces: number): Buffer {
  const message = { role: "assistant", content: answerText(pieces), refusal: null };
  const choices = [{ index: 0, message, logprobs: null, finish_reason: "stop" }];
  return Buffer.from(JSON.stringify({ ...shared, object: "chat.completion", choices, usage }));
}

let settings: ProviderSettings;
let writes: Buffer[];
let whole: Buffer;
let lastRequest = Buffer.alloc(0);

function use(next: ProviderSettings): void {
  settings = next;
  writes = streamWrites(next.pieces);
  whole = wholeBody(next.pieces);
}
use({ pieces: 16, pieceInterval: 0 });

function stream(response: ServerResponse): void {
  const current = writes;
  let next = 0;
  const step = () => {
    if (next === current.length - 1) return void response.end(current[next]);
    response.write(current[next++]);
    if (settings.pieceInterval === 0) setImmediate(step);
    else setTimeout(step, settings.pieceInterval);
  };
  step();
}

const streamAsked = Buffer.from('"stream":true');
const server = createServer((request, response) => {
  if (request.method === "GET") return void response.end(lastRequest);
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    lastRequest = Buffer.concat(parts);
    if (lastRequest.includes(streamAsked)) {
      response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
      stream(response);
    } else {
      const length = whole.byteLength;
      response.writeHead(200, { "content-type": "application/json", "content-length": length });
      response.end(whole);
    }
  });
});
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));

process.on("message", (next: ProviderSettings) => {
  use(next);
  process.send?.("settled");
});
process.on("disconnect", () => process.exit());
