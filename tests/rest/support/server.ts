/** Serves services over a real socket and sends requests exactly as written. */
import { once } from "node:events";
import { request, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import fastify, { type FastifyInstance } from "fastify";
import { fastifyRest, type RestOptions } from "../../../src/rest/index.ts";

/** A request as it goes over the wire: nothing is encoded or normalised. */
export interface WireRequest {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
}

/** An answer with its whole body. */
export interface WireResponse {
  status: number;
  headers: IncomingHttpHeaders;
  bytes: Buffer;
  text: string;
  /** The body as JSON; undefined if it is empty or no JSON. */
  json: unknown;
}

/** A running server. */
export interface TestServer {
  server: FastifyInstance;
  port: number;
  send(request: WireRequest | string): Promise<WireResponse>;
  /** Sends a request and gives the response when its headers have come. */
  open(request: WireRequest | string): Promise<IncomingMessage>;
  close(): Promise<void>;
}

/** Starts a server with the plugin on a free port. */
export async function startRest(
  options: RestOptions,
  prepare: (server: FastifyInstance) => void | Promise<void> = () => {},
): Promise<TestServer> {
  const server = fastify({ forceCloseConnections: true });
  await prepare(server);
  await server.register(fastifyRest, options);
  await server.listen({ host: "127.0.0.1", port: 0 });
  const { port } = server.server.address() as AddressInfo;

  const open = async (wire: WireRequest | string): Promise<IncomingMessage> => {
    const { method, path, headers, body } = typeof wire === "string" ? parse(wire) : wire;
    const outgoing = request({ host: "127.0.0.1", port, method: method ?? "GET", path });
    for (const [name, value] of Object.entries(headers ?? {})) outgoing.setHeader(name, value);
    // Node.js frames the body of a GET or DELETE only if it is told to.
    if (body !== undefined && !outgoing.hasHeader("transfer-encoding")) {
      outgoing.setHeader("content-length", Buffer.byteLength(body));
    }
    const response = once(outgoing, "response");
    outgoing.end(body);
    return ((await response) as [IncomingMessage])[0];
  };
  return {
    server,
    port,
    open,
    async send(wire) {
      const response = await open(wire);
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const bytes = Buffer.concat(chunks);
      const text = bytes.toString("utf8");
      const { statusCode: status = 0, headers } = response;
      return { status, headers, bytes, text, json: parseJson(text) };
    },
    close: () => server.close(),
  };
}

/** `GET /path`, or `POST /path {"json": "body"}`. */
function parse(text: string): WireRequest {
  const [method = "GET", path = "/", ...rest] = text.split(" ");
  if (rest.length === 0) return { method, path };
  const headers = { "content-type": "application/json" };
  return { method, path, headers, body: rest.join(" ") };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Reads a response until `text` has come; fails if it ends before. */
export async function readUntil(response: IncomingMessage, text: string): Promise<string> {
  let received = "";
  while (!received.includes(text)) {
    const piece = response.read() as Buffer | null;
    if (piece === null) {
      if (response.readableEnded) throw new Error(`the response ended: ${received}`);
      await once(response, "readable");
    } else received += piece.toString();
  }
  return received;
}
