/**
 * Unary calls in Connect's own protocol, which most callers speak: plain POST and
 * GET with JSON or protobuf. https://connectrpc.com/docs/protocol
 *
 * Connect-ES serves the other kinds. This door is here because its parse errors
 * name no field and reach no interceptor, and it costs a third of the CPU.
 */
import { type Message, toBinary, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import { invalidField } from "../errors.ts";
import { hasBody, readBytes } from "../rest/index.ts";
import { callKey } from "../rpc/call.ts";
import { type CallEntry, logRefusal } from "../rpc/calls.ts";
import { toConnectError } from "../rpc/errors.ts";
import type { CallContext, InvocableMethod } from "../rpc/invoke.ts";
import { isBinaryType, ofParameter, readQuery, timeoutOf } from "./connect-request.ts";
import { readJson, readProtobuf } from "./read-message.ts";

export interface ConnectUnaryOptions {
  /** Takes the log lines of calls that end before the interceptors see them. */
  log(entry: CallEntry): void;
  /** The largest message, in bytes, in and out. */
  maxMessageBytes: number;
  /** The longest that a call may take, in milliseconds; the deadline of calls that bring none. */
  defaultTimeoutMs: number;
}

const callerGone = new ConnectError("the caller went away", Code.Canceled);

/** Makes the handler of a unary method. It never rejects: the error is the answer. */
export function createConnectUnary(
  invocable: InvocableMethod,
  options: ConnectUnaryOptions,
): (request: FastifyRequest, reply: FastifyReply) => Promise<void> {
  const { input, output, name, parent } = invocable.method;

  function open({ raw, call }: FastifyRequest, response: ServerResponse): CallContext {
    const context = invocable.createContext({
      protocolName: "connect",
      requestMethod: raw.method ?? "POST",
      url: `http://${raw.headers.host ?? ""}${raw.url ?? ""}`,
      requestHeader: headersOf(raw),
      timeoutMs: timeoutOf(raw.headers, options.defaultTimeoutMs),
      contextValues: createContextValues().set(callKey, call),
    });
    if (response.destroyed) context.abort(callerGone);
    else response.once("close", () => context.abort(callerGone));
    return context;
  }

  function readMessage(bytes: Buffer, binary: boolean, isParameter: boolean): Message {
    try {
      return binary ? readProtobuf(input, bytes) : readJson(input, bytes);
    } catch (reason) {
      throw isParameter ? ofParameter(reason) : reason;
    }
  }

  return async (request, reply) => {
    const { raw, call } = request;
    const response = reply.raw;
    reply.hijack();
    let context: CallContext | undefined;
    try {
      const { binary, bytes } = await readRequest(raw, options.maxMessageBytes);
      const message = readMessage(bytes, binary, raw.method === "GET");
      context = open(request, response);
      const answer = await invocable.invokeUnary(message, context);
      const body = binary ? toBinary(output, answer) : JSON.stringify(toJson(output, answer));
      copyHeaders(context.responseHeader, response, "");
      copyHeaders(context.responseTrailer, response, "trailer-");
      await send(response, 200, binary ? "application/proto" : "application/json", body, raw);
    } catch (reason) {
      const error = toConnectError(reason, call.requestId, context?.signal);
      logRefusal(options.log, call, `${parent.typeName}/${name}`, error);
      if (context) copyHeaders(context.responseHeader, response, "");
      copyHeaders(error.metadata, response, "");
      const body = JSON.stringify(errorToJson(error, undefined));
      await send(response, codeToHttpStatus(error.code), "application/json", body, raw);
    }
  };
}

async function readRequest(
  raw: IncomingMessage,
  maxBytes: number,
): Promise<{ binary: boolean; bytes: Buffer }> {
  const { headers } = raw;
  const version = headers["connect-protocol-version"];
  if (version !== undefined && version !== "1") {
    throw invalidField("connect-protocol-version", "must be 1");
  }
  if (raw.method === "GET") return readQuery(raw.url ?? "", maxBytes);
  const bytes = hasBody(headers) ? await readBytes(raw, headers, maxBytes) : Buffer.alloc(0);
  return { binary: isBinaryType(headers["content-type"]), bytes };
}

function headersOf({ headers }: IncomingMessage): Headers {
  const result = new Headers();
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) result.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  return result;
}

/** Headers that describe the message on the wire: only this door sets them. */
const ownHeaders = /^(?:content-(?:length|type|encoding)|transfer-encoding)$/;

function copyHeaders(headers: Headers, response: ServerResponse, prefix: string): void {
  for (const [name, value] of headers) {
    if (!ownHeaders.test(name)) response.appendHeader(prefix + name, value);
  }
}

/** As Connect-ES does; less is not worth it. */
const compressMinBytes = 1024;
const compressors = new Map([
  ["gzip", promisify<Buffer, Buffer>(gzip)],
  ["br", promisify<Buffer, Buffer>(brotliCompress)],
]);

async function send(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string | Uint8Array,
  request: IncomingMessage,
): Promise<void> {
  let bytes: Buffer = Buffer.from(body as Uint8Array);
  response.setHeader("content-type", contentType);
  const accepted = request.headers["accept-encoding"];
  if (accepted && bytes.byteLength >= compressMinBytes) {
    const names = String(accepted).split(",");
    const encoding = names.map((name) => name.trim()).find((name) => compressors.has(name));
    const compress = compressors.get(encoding ?? "");
    if (encoding && compress) {
      bytes = await compress(bytes);
      response.setHeader("content-encoding", encoding);
      response.setHeader("vary", "accept-encoding");
    }
  }
  // What is left of a refused body would be taken for the next request.
  if (!request.complete) response.setHeader("connection", "close");
  response.writeHead(status, { "content-length": bytes.byteLength });
  response.end(bytes);
}
