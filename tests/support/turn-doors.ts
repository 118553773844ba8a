/** A turn through every door, whole and as a stream. */
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { randomBytes } from "node:crypto";
import { ChatService } from "../../gen/tribe/v1/chat_pb.js";
import type { TestApp } from "./app.ts";

/** Headers, or gRPC metadata. */
export type TurnHeaders = Record<string, string>;

/** Asks, and reads the answer to its end. Fails when the call does. */
export type AskTurn = (app: TestApp, question: string, headers: TurnHeaders) => Promise<unknown>;

/** A way to ask. */
export interface TurnDoor {
  /** As log and metrics call it. */
  door: string;
  method: "SendMessage" | "StreamMessage";
  ask: AskTurn;
}

/** As much the caller's words as the question is. */
const stop = ["an end that nobody may record"];

async function all(events: AsyncIterable<unknown>): Promise<unknown[]> {
  const seen = [];
  for await (const event of events) seen.push(event);
  return seen;
}
function rpcDoors(door: string, makeTransport: (app: TestApp) => Transport): TurnDoor[] {
  const clientOf = (app: TestApp) => createClient(ChatService, makeTransport(app));
  const request = (question: string) => ({
    content: [{ part: { case: "text" as const, value: question } }],
    stop,
  });
  return [
    {
      door,
      method: "SendMessage",
      ask: (app, question, headers) => clientOf(app).sendMessage(request(question), { headers }),
    },
    {
      door,
      method: "StreamMessage",
      ask: (app, question, headers) =>
        all(clientOf(app).streamMessage(request(question), { headers })),
    },
  ];
}
function restDoor(path: string, accept: string): AskTurn {
  return async (app, question, headers) => {
    const response = await fetch(`${app.baseUrl}${path}`, {
      method: "POST",
      headers: { ...headers, accept, "content-type": "application/json" },
      body: JSON.stringify({ content: [{ text: question }], stop }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status}: ${text}`);
    return text;
  };
}
const [grpc, grpcStream] = rpcDoors("grpc", ({ grpcAddress }) =>
  createGrpcTransport({ baseUrl: `http://${grpcAddress}` }),
) as [TurnDoor, TurnDoor];
const [connect, connectStream] = rpcDoors("connect", ({ baseUrl }) =>
  createConnectTransport({ baseUrl, httpVersion: "1.1" }),
) as [TurnDoor, TurnDoor];
const [web, webStream] = rpcDoors("grpc-web", ({ baseUrl }) =>
  createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
) as [TurnDoor, TurnDoor];

/** All of them, by what they are called. */
export const turnDoors = {
  gRPC: grpc,
  "a gRPC stream": grpcStream,
  Connect: connect,
  "a Connect stream": connectStream,
  "gRPC-Web": web,
  "a gRPC-Web stream": webStream,
  REST: { door: "rest", method: "SendMessage", ask: restDoor("/api/v1/chat", "application/json") },
  "a REST stream": {
    door: "rest",
    method: "StreamMessage",
    ask: restDoor("/api/v1/chat:stream", "text/event-stream"),
  },
} satisfies Record<string, TurnDoor>;

/** A caller's place in a trace. */
export interface TraceIds {
  traceId: string;
  spanId: string;
}

/** A trace that nobody else has. */
export function newTrace(): TraceIds {
  return { traceId: randomBytes(16).toString("hex"), spanId: randomBytes(8).toString("hex") };
}

/** `traceparent` of a caller; `flags` 01: recorded. */
export function traceparent({ traceId, spanId }: TraceIds, flags = "01"): string {
  return `00-${traceId}-${spanId}-${flags}`;
}
