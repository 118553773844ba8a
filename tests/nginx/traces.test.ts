/** Whether a caller outside can have its calls recorded: through the real nginx and a real process. */
import { create } from "@bufbuild/protobuf";
import { credentials, Metadata } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ChatService, ListModelsRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import { until } from "../support/eventually.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { call, instanceOf, startEdge, type TestEdge } from "../support/nginx.ts";
import { startOtlpSink, type OtlpSink } from "../support/otlp-sink.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { newTrace, traceparent, type TraceIds } from "../support/turn-doors.ts";

const key = "administrator-behind-the-edge";
let database: TestDatabase;
let redis: TestRedis;
let sink: OtlpSink;
let program: TestProgram;
let edge: TestEdge;

beforeAll(async () => {
  [database, redis, sink] = await Promise.all([createDatabase(), startRedis(), startOtlpSink()]);
  program = await startProgram({
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    ADMIN_API_KEY: key,
    SECRET_KEY: "a secret of the tests that is long enough",
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_TRACES_SAMPLER_ARG: "0",
  });
  edge = await startEdge([instanceOf(program)]);
});
afterAll(async () => {
  await edge?.close();
  await program?.close();
  await Promise.all([database?.close(), redis?.stop(), sink?.close()]);
});

const headersOf = (ids: TraceIds) => ({
  authorization: `Bearer ${key}`,
  traceparent: traceparent(ids),
  tracestate: "vendor=7",
});

/** Asks by REST and by gRPC, each in a trace of its own that the caller wants to be recorded. */
async function ask(): Promise<string[]> {
  const [rest, grpc] = [newTrace(), newTrace()];
  const answer = await call(edge, "/api/v1/models", { headers: headersOf(rest) });
  expect(answer.status).toBe(200);
  const client = createGrpcClient(
    ChatService,
    edge.address,
    {},
    credentials.createSsl(Buffer.from(edge.authority)),
  );
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headersOf(grpc))) metadata.set(name, value);
  await new Promise<void>((resolve, reject) => {
    client["ListModels"]!(create(ListModelsRequestSchema), metadata, (error: Error | null) =>
      error ? reject(error) : resolve(),
    );
  }).finally(() => client.close());
  return [rest.traceId, grpc.traceId];
}
const arrived = (traceIds: string[]) => traceIds.map((traceId) => sink.trace(traceId).length);

test("a caller outside has no say in what is recorded, unless the operator lets it", async () => {
  const dropped = await ask();
  await edge.reload({ EDGE_ENABLE: "traces" });
  const kept = await ask();
  await until(() => arrived(kept).every((spans) => spans > 0));
  // They would have been sent before those.
  expect(arrived(dropped)).toEqual([0, 0]);
  for (const traceId of dropped) expect(program.output()).not.toContain(traceId);
  for (const traceId of kept) expect(program.output()).toContain(traceId);
});
