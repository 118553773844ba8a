/** Random requests: rendered from random messages, then spoilt on every layer. */
import { toJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import fc from "fast-check";
import { brotliCompressSync, gzipSync } from "node:zlib";
import type { RestRule } from "../../../src/rest/index.ts";
import { arbitraryMessage } from "../../support/arbitrary-message.ts";
import { patternText, renderRequest } from "../support/render.ts";
import * as fragments from "./fragments.ts";

/** One connection's worth of bytes. */
export interface FuzzRequest {
  /** How many requests the bytes were made of. */
  readonly requests: number;
  /** Written one after the other. */
  readonly pieces: readonly Buffer[];
  /** Whether the client goes away without waiting for the answer. */
  readonly leaves: boolean;
}

/** What requests are about. */
export interface FuzzTarget {
  readonly rules: readonly RestRule[];
  /** Sent with most requests. */
  readonly headers: readonly (readonly [string, string])[];
  /** Put in the place of most ids, so that requests reach existing resources. */
  readonly ids: readonly string[];
}

/** A request that can still be changed part by part. */
interface Draft {
  method: string;
  target: string;
  headers: [string, string][];
  body: Buffer | undefined;
}

type Edit = (draft: Draft) => void;
type Mutation = (bytes: Buffer) => Buffer;

/** Requests for the routes of a target: about a third of them as a good client sends them. */
export function arbitraryRequest(target: FuzzTarget): fc.Arbitrary<FuzzRequest> {
  const one = fc.oneof(
    { weight: 40, arbitrary: rendered(target) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  );
  return fc
    .record({
      requests: fc.oneof(
        { weight: 15, arbitrary: fc.tuple(one) },
        { weight: 1, arbitrary: fc.array(one, { minLength: 2, maxLength: 3 }) },
      ),
      cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 2 }),
      leaves: odds(30),
    })
    .map(({ requests, cuts, leaves }) => ({
      requests: requests.length,
      pieces: split(Buffer.concat(requests), cuts),
      leaves,
    }));
}

/** True once in about `count` times. */
function odds(count: number): fc.Arbitrary<boolean> {
  return fc.integer({ min: 1, max: count }).map((number) => number === 1);
}

function rendered(target: FuzzTarget): fc.Arbitrary<Buffer> {
  const bases = target.rules.map((rule) =>
    fc
      .record({
        message: arbitraryMessage(rule.method.input),
        fillers: fc.array(fc.string({ maxLength: 5 }), { minLength: 3, maxLength: 3 }),
        ids: fc.infiniteStream(fc.option(fc.constantFrom(...target.ids, ""), { freq: 4 })),
      })
      .map(({ message, fillers, ids }): Draft => {
        let json: JsonValue;
        try {
          json = toJson(rule.method.input, message);
        } catch {
          json = {};
        }
        return draftOf(rule, useIds(json, ids) as JsonObject, fillers, target.headers);
      }),
  );
  const edits = fc.oneof(
    { weight: 1, arbitrary: fc.constant<Edit[]>([]) },
    { weight: 2, arbitrary: fc.array(edit, { minLength: 1, maxLength: 4 }) },
  );
  return fc
    .record({
      base: fc.oneof(...bases),
      edits,
      chunk: fc.option(fc.integer({ min: 1, max: 500 }), { freq: 4 }),
      broken: fc.oneof(
        { weight: 7, arbitrary: fc.constant<Mutation[]>([]) },
        { weight: 1, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 3 }) },
      ),
    })
    .map(({ base, edits, chunk, broken }) => {
      const draft: Draft = { ...base, headers: [...base.headers] };
      for (const edit of edits) edit(draft);
      return broken.reduce<Buffer>((bytes, mutate) => mutate(bytes), encode(draft, chunk));
    });
}

function draftOf(
  rule: RestRule,
  json: JsonObject,
  fillers: readonly string[],
  headers: FuzzTarget["headers"],
): Draft {
  const { method = "GET", path, ...rest } = render(rule, fitPatterns(rule, json, fillers), fillers);
  return {
    method,
    target: path,
    headers: [...headers.map(copy), ...Object.entries(rest.headers ?? {})],
    body: rest.body === undefined ? undefined : Buffer.from(rest.body),
  };
}

/** Sets the fields of variables to what their patterns take. */
function fitPatterns(
  { template, variables }: RestRule,
  json: JsonObject,
  words: readonly string[],
): JsonObject {
  let used = 0;
  const nextWord = (): string => words[used++] ?? "";
  for (const { fields, start, end } of variables) {
    const text = patternText(template.segments.slice(start, end), nextWord, 2);
    const [field, ...more] = fields;
    if (text !== undefined && field !== undefined && more.length === 0) json[field.jsonName] = text;
  }
  return json;
}

function render(rule: RestRule, json: JsonObject, fillers: readonly string[]) {
  try {
    return renderRequest(rule, json, fillers);
  } catch {
    // Maps and the like are no parameters.
    return renderRequest(rule, {}, fillers);
  }
}

function copy([name, value]: readonly [string, string]): [string, string] {
  return [name, value];
}

function useIds(json: JsonValue, ids: fc.Stream<string | null>): JsonValue {
  if (Array.isArray(json)) return json.map((item) => useIds(item, ids));
  if (typeof json !== "object" || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => {
      if (!name.endsWith("Id") || typeof value !== "string") return [name, useIds(value, ids)];
      return [name, ids.next().value ?? value];
    }),
  );
}

const position = fc.double({ min: 0, max: 1, noNaN: true });
const parameterName = fc.constantFrom(...fragments.parameterNames.split(" "));

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.constantFrom(...fragments.methods).map(
    (method): Edit =>
      (draft) =>
        (draft.method = method),
  ),
  fc.tuple(fc.constantFrom(...fragments.urlPieces), position).map(
    ([piece, at]): Edit =>
      (draft) =>
        (draft.target = insert(draft.target, piece, at)),
  ),
  fc.tuple(position, position).map(([from, to]): Edit => (draft) => {
    draft.target =
      draft.target.slice(0, draft.target.length * from) +
      draft.target.slice(draft.target.length * to);
  }),
  fc.tuple(parameterName, fc.constantFrom(...fragments.values)).map(([name, value]): Edit => {
    return (draft) => (draft.target += `${draft.target.includes("?") ? "&" : "?"}${name}=${value}`);
  }),
  fc.constantFrom(...fragments.headers).map((header): Edit => {
    return (draft) => void draft.headers.push(copy(header));
  }),
  fc.constantFrom(...fragments.headers).map(([name, value]): Edit => (draft) => {
    draft.headers = [...draft.headers.filter(([other]) => other !== name), [name, value]];
  }),
  position.map((at): Edit => (draft) => {
    draft.headers.splice(Math.floor(draft.headers.length * at), 1);
  }),
  fc.constantFrom(...fragments.bodies).map(
    (body): Edit =>
      (draft) =>
        (draft.body = body),
  ),
  fc.tuple(fc.constantFrom(...fragments.bodies.slice(0, 30)), position).map(([piece, at]): Edit => {
    return (draft) => {
      const body = draft.body?.toString("latin1") ?? "";
      draft.body = Buffer.from(insert(body, piece.toString("latin1"), at), "latin1");
    };
  }),
  fc.constantFrom("gzip", "br").map((coding): Edit => (draft) => {
    const body = draft.body ?? Buffer.from("{}");
    draft.body = coding === "gzip" ? gzipSync(body) : brotliCompressSync(body);
    draft.headers.push(["content-encoding", coding]);
  }),
);

function insert(text: string, piece: string, at: number): string {
  const index = Math.floor(text.length * at);
  return text.slice(0, index) + piece + text.slice(index);
}

/** The bytes of a request; its body in chunks of a size, or with its length. */
function encode({ method, target, headers, body }: Draft, chunk: number | null): Buffer {
  const names = new Set(headers.map(([name]) => name));
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
  if (!names.has("host")) lines.unshift("host: fuzz\r\n");
  if (body === undefined) return text(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`);
  const isFramed = names.has("content-length") || names.has("transfer-encoding");
  const isChunked = chunk !== null && !isFramed && body.length < 10_000;
  if (isChunked) lines.push("transfer-encoding: chunked\r\n");
  else if (!isFramed) lines.push(`content-length: ${body.length}\r\n`);
  const head = text(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`);
  if (!isChunked) return Buffer.concat([head, body]);
  const parts = [head];
  for (let start = 0; start < body.length; start += chunk) {
    const part = body.subarray(start, start + chunk);
    parts.push(text(`${part.length.toString(16)}\r\n`), part, text("\r\n"));
  }
  return Buffer.concat([...parts, text("0\r\n\r\n")]);
}

function text(content: string): Buffer {
  return Buffer.from(content, "latin1");
}

/** Changes of the bytes themselves. */
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, fc.integer({ min: 0, max: 255 })).map(([at, value]) => (bytes: Buffer) => {
    const changed = Buffer.from(bytes);
    if (changed.length > 0) changed[Math.floor(at * (changed.length - 1))] = value;
    return changed;
  }),
  fc.tuple(position, fc.uint8Array({ maxLength: 8 })).map(([at, piece]) => (bytes: Buffer) => {
    const index = Math.floor(bytes.length * at);
    return Buffer.concat([bytes.subarray(0, index), piece, bytes.subarray(index)]);
  }),
  fc.tuple(position, position).map(([from, to]) => (bytes: Buffer) => {
    return Buffer.concat([
      bytes.subarray(0, bytes.length * from),
      bytes.subarray(bytes.length * to),
    ]);
  }),
  position.map((at) => (bytes: Buffer) => bytes.subarray(0, bytes.length * at)),
);

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.map((cut) => Math.floor(bytes.length * cut)), bytes.length];
  let start = 0;
  return ends
    .sort((one, other) => one - other)
    .map((end) => bytes.subarray(start, (start = end)))
    .filter((piece) => piece.length > 0);
}
