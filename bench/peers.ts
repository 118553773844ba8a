/** The peers, which forward without storing anything, and the provider itself. */
import { join } from "node:path";
import { answerText, question } from "./answer.ts";
import { freePort, startService } from "./processes.ts";
import type { LoadTarget } from "./load-job.ts";
import type { Scenario } from "./scenarios.ts";
import type { Subject } from "./subject.ts";

const here = import.meta.dirname;

export interface PeerOptions {
  providerOrigin: string;
  logs: string;
  /** What was said before the question: texts, the user's and the model's in turn. */
  history: readonly string[];
}

/** The stored history of every conversation: 11 questions and the 10 answers between them. */
export function makeHistory(messages: number, pieces: number): string[] {
  return Array.from({ length: messages }, (_, index) =>
    index % 2 === 0 ? question(index / 2 + 1) : answerText(pieces),
  );
}

function chatCompletion(history: readonly string[], model: string, stream: boolean): Uint8Array {
  const messages = [...history, question(history.length)].map((content, index) => ({
    role: index % 2 === 0 || index === history.length ? "user" : "assistant",
    content,
  }));
  const request = { model, messages, ...(stream && streaming) };
  return new TextEncoder().encode(JSON.stringify(request));
}
const streaming = { stream: true, stream_options: { include_usage: true } };

function completionsTarget(
  options: PeerOptions,
  origin: string,
  headers: Record<string, string> = {},
  model = "gpt-4o-mini",
) {
  return (scenario: Scenario): LoadTarget | undefined => {
    if (scenario === "grpc") return undefined;
    const isStream = scenario !== "rest";
    return {
      transport: "http",
      origin,
      path: "/v1/chat/completions",
      headers: {
        "content-type": "application/json",
        authorization: "Bearer sk-bench",
        ...headers,
      },
      bodies: [chatCompletion(options.history, model, isStream)],
      minimumBytes: isStream ? 1000 : 200,
      ...(isStream && { firstTextMarker: '"content":"the ' }),
    };
  };
}

export function provider(options: PeerOptions): Subject {
  const target = completionsTarget(options, options.providerOrigin);
  return { name: "provider", process: undefined, target };
}

export async function startPortkey(options: PeerOptions): Promise<Subject> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const program = join(here, "node_modules/@portkey-ai/gateway/build/start-server.js");
  const process = await startService({
    name: "portkey",
    command: [program, "--headless", `--port=${port}`],
    environment: {},
    logs: options.logs,
    readyUrl: origin,
  });
  const headers = {
    "x-portkey-provider": "openai",
    "x-portkey-custom-host": `${options.providerOrigin}/v1`,
  };
  return { name: "portkey", process, target: completionsTarget(options, origin, headers) };
}

export async function startLlms(options: PeerOptions): Promise<Subject> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const process = await startService({
    name: "llms",
    command: [join(here, "llms-server.mjs"), String(port), options.providerOrigin],
    environment: {},
    logs: options.logs,
    readyUrl: `${origin}/health`,
  });
  const target = completionsTarget(options, origin, {}, "openai,gpt-4o-mini");
  return { name: "llms", process, target };
}
