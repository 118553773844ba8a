/** Calls that wait behind another one on their connection, which ends. */
import { connect } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { SendMessageRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import { startDoors, type Doors } from "../support/doors.ts";
import { until } from "../support/eventually.ts";

let doors: Doors;
afterEach(() => doors.close());

const json = Buffer.from('{"content":[{"text":"Hello"}]}');
const protobuf = toBinary(
  SendMessageRequestSchema,
  create(SendMessageRequestSchema, { content: [{ part: { case: "text", value: "Hello" } }] }),
);
function envelope(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}
function request(path: string, contentType: string, body: Uint8Array): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: ${contentType}\r\ncontent-length: ${body.byteLength}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}
const unary = "/tribe.v1.ChatService/SendMessage";
const stream = "/tribe.v1.ChatService/StreamMessage";

test.each([
  ["Connect unary", unary, "application/json", json],
  ["Connect stream", stream, "application/connect+json", envelope(json)],
  ["gRPC-Web unary", unary, "application/grpc-web+proto", envelope(protobuf)],
  ["gRPC-Web stream", stream, "application/grpc-web+proto", envelope(protobuf)],
  ["REST unary", "/api/v1/chat", "application/json", json],
  ["REST stream", "/api/v1/chat:stream", "application/json", json],
])("%s: it is cancelled, and logged so", async (_, path, contentType, body) => {
  let begun = 0;
  let aborted = 0;
  /** The first goes on, as turns do whose caller has left; who waits behind it must not wait for that. */
  const untilAborted = (signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) => {
      begun += 1;
      const isFirst = begun === 1;
      signal.addEventListener("abort", () => {
        aborted += 1;
        if (!isFirst) reject(signal.reason as Error);
      });
    });
  doors = await startDoors({
    chat: {
      sendMessage: (_request, { signal }) => untilAborted(signal),
      // oxlint-disable-next-line require-yield -- it is left before it has said anything
      async *streamMessage(_request, { signal }) {
        await untilAborted(signal);
      },
    },
  });
  const socket = connect(Number(new URL(doors.httpUrl).port), "127.0.0.1");
  socket.write(request(unary, "application/json", json));
  socket.write(request(path, contentType, body));
  await until(() => begun === 2);
  socket.destroy();
  await until(() => aborted === 2);
  await expect.poll(() => doors.log.map(({ code }) => code)).toContain("CANCELLED");
});
