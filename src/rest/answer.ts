/** Sends the answer of a successful call: conditions, caching, compression. */
import type { Message } from "@bufbuild/protobuf";
import { sortKeys } from "./canonical-json.ts";
import { jsonContentType, type Call, type Serving } from "./call.ts";
import { acceptedCoding, compress, isCompressible } from "./compression.ts";
import type { Endpoint } from "./endpoint.ts";
import { codedTag, entityTag, isFresh } from "./entity-tag.ts";

/** What is sent. */
interface Content {
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

/** Sends a response message. The handler's own `etag` and `cache-control` stand. */
export function sendMessage(message: Message, call: Call, serving: Serving): void {
  const { endpoint, reply, request } = call;
  const isRead = request.method === "GET" || request.method === "HEAD";
  const content = contentOf(endpoint, message, isRead);
  if (!reply.hasHeader("cache-control")) {
    reply.header("cache-control", isRead ? "private, no-cache" : "no-store");
  }
  if (isRead) {
    const own = reply.getHeader("etag");
    const tag = typeof own === "string" ? own : entityTag(content.body);
    reply.header("etag", tag);
    if (isFresh(request.headers["if-none-match"], tag)) {
      reply.code(304).send();
      return;
    }
  }
  sendContent(content, call, serving);
}

/** The tag that GET gives a message. */
export function tagOfMessage(endpoint: Endpoint, message: Message): string {
  return entityTag(contentOf(endpoint, message, true).body);
}

function contentOf({ response }: Endpoint, message: Message, canonical: boolean): Content {
  if (response.raw !== undefined) {
    const { contentType, data } = response.raw(message);
    return { contentType, body: data };
  }
  const json = response.json(message);
  const body = JSON.stringify(canonical && response.unordered ? sortKeys(json) : json);
  return { contentType: jsonContentType, body };
}

function sendContent({ contentType, body }: Content, call: Call, serving: Serving): void {
  const { reply, request } = call;
  reply.type(contentType);
  if (body.length < serving.settings.compressMinBytes || !isCompressible(contentType)) {
    reply.send(body);
    return;
  }
  addVary(call, "Accept-Encoding");
  const coding = acceptedCoding(request.headers["accept-encoding"]);
  if (coding === undefined || reply.hasHeader("content-encoding")) {
    reply.send(body);
    return;
  }
  compress(coding, body).then(
    (compressed) => {
      const tag = reply.getHeader("etag");
      if (typeof tag === "string") reply.header("etag", codedTag(tag, coding));
      return reply.header("content-encoding", coding).send(compressed);
    },
    () => reply.send(body),
  );
}

/** Names a request header that the answer depends on. */
export function addVary({ reply }: Pick<Call, "reply">, name: string): void {
  const vary = reply.getHeader("vary");
  reply.header("vary", vary === undefined ? name : `${String(vary)}, ${name}`);
}
