/** Every kind of method over the gRPC door. */
import type { ClientDuplexStream, ClientWritableStream, ServiceError } from "@grpc/grpc-js";
import { connect } from "node:http2";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createCallInterceptor, type CallEntry } from "../../src/rpc/calls.ts";
import { createGrpcServer, type GrpcServer } from "../../src/rpc/grpc/server.ts";
import { until } from "../support/eventually.ts";
import { createGrpcClient, type GrpcClient } from "../support/grpc-client.ts";
import { KindsService, type Word, word } from "../support/kinds-service.ts";
import { callRaw, frame, statusOf } from "../support/raw-grpc.ts";

let server: GrpcServer;
let client: GrpcClient;
let address: string;
const log: CallEntry[] = [];
let received: string[] = [];

beforeEach(async () => {
  log.length = 0;
  received = [];
  const calls = createCallInterceptor({ log: (entry) => log.push(entry) });
  server = createGrpcServer({
    groups: [
      {
        interceptors: [calls.interceptor],
        routes: (router) =>
          router.service(KindsService, {
            unary: ({ text }: Word) => ({ text: text.toUpperCase() }),
            async *download({ text }: Word) {
              for (const letter of text) yield { text: letter };
            },
            async upload(words: AsyncIterable<Word>) {
              for await (const { text } of words) received.push(text);
              return { text: received.join(" ") };
            },
            async *talk(words: AsyncIterable<Word>) {
              for await (const { text } of words) {
                received.push(text);
                yield { text: `${text}?` };
                if (text === "stop") return;
              }
            },
          } as never),
      },
    ],
    log: (entry) => log.push(entry),
    clientAddress: (peer) => peer ?? "",
    maxMessageBytes: 1000,
    defaultTimeoutMs: 60_000,
  });
  address = `127.0.0.1:${await server.listen("127.0.0.1", 0)}`;
  client = createGrpcClient(KindsService, address);
});
afterEach(async () => {
  client.close();
  await server.close();
});

function answerTo(start: (callback: (error: ServiceError | null, answer?: Word) => void) => void) {
  return new Promise<Word | undefined>((resolve, reject) => {
    start((error, answer) => (error ? reject(error) : resolve(answer)));
  });
}
async function texts(stream: AsyncIterable<Word>): Promise<string[]> {
  const result: string[] = [];
  for await (const { text } of stream) result.push(text);
  return result;
}

test("unary", async () => {
  const answer = await answerTo((callback) => client["Unary"]!(word("hello"), callback));
  expect(answer?.text).toBe("HELLO");
});

test("server stream", async () => {
  expect(await texts(client["Download"]!(word("abc")))).toEqual(["a", "b", "c"]);
  expect(await texts(client["Download"]!(word("")))).toEqual([]);
  expect(log).toMatchObject([
    { rpc: "kinds.v1.KindsService/Download", code: "OK", messages: 3 },
    { rpc: "kinds.v1.KindsService/Download", code: "OK", messages: 0 },
  ]);
});

test("client stream", async () => {
  const answer = await answerTo((callback) => {
    const upload: ClientWritableStream<Word> = client["Upload"]!(callback);
    for (const text of ["one", "two", "three"]) upload.write(word(text));
    upload.end();
  });
  expect(answer?.text).toBe("one two three");
});

test("a client stream without a message", async () => {
  const answer = await answerTo((callback) => client["Upload"]!(callback).end());
  expect(answer?.text).toBe("");
});

test("bidirectional: each answer comes before the next question", async () => {
  const talk: ClientDuplexStream<Word, Word> = client["Talk"]!();
  const answers = (talk as AsyncIterable<Word>)[Symbol.asyncIterator]();
  for (const text of ["one", "two"]) {
    talk.write(word(text));
    expect((await answers.next()).value.text).toBe(`${text}?`);
  }
  talk.end();
  expect((await answers.next()).done).toBe(true);
});

test("bidirectional: the server may end first", async () => {
  const talk: ClientDuplexStream<Word, Word> = client["Talk"]!();
  talk.write(word("stop"));
  expect(await texts(talk as AsyncIterable<Word>)).toEqual(["stop?"]);
});

test("a caller that leaves in the middle of its own stream ends the handler's iteration", async () => {
  const session = connect(`http://${address}`);
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": "/kinds.v1.KindsService/Upload",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  stream.write(frame(Buffer.from([10, 1, 97])));
  await until(() => received.length === 1);
  session.destroy();
  await until(() => log.length === 1);
  expect(log).toMatchObject([{ rpc: "kinds.v1.KindsService/Upload", code: "CANCELLED" }]);
});

test.each([
  ["is unreadable", Buffer.from([0xff]), 3],
  ["is too large", Buffer.alloc(1001), 8],
])("a later message that %s ends the call", async (_which, bad, code) => {
  const good = frame(Buffer.from([10, 1, 97]));
  const body = Buffer.concat([good, frame(bad)]);
  const response = await callRaw(address, "/kinds.v1.KindsService/Talk", body);
  expect(response.trailers["grpc-status"]).toBe(String(code));
  expect(statusOf(response).code).toBe(code);
  await until(() => log.length === 1);
});
