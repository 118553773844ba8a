/** A Tribe that has served calls of many kinds, for whoever looks at what it measured. */
import { create } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { ChatService, SendMessageRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import { startApp, type TestApp } from "./app.ts";
import { createGrpcClient } from "./grpc-client.ts";
import { startProviderServer } from "./provider-server/provider-server.ts";

/** The model that answered, and what the service can be asked. */
export interface ServedApp extends TestApp {
  model: string;
}

/**
 * Serves: one turn by REST, one by gRPC and one as a stream, all of 40 fresh and 10 cached input
 * tokens and 3 output tokens; one that the provider refuses; one of a model outside of the
 * catalogue; a call without key; a path that does not exist.
 */
export async function startServedApp(): Promise<ServedApp> {
  const provider = await startProviderServer({
    reply: {
      text: ["The ", "same ", "answer"],
      delayMs: 5,
      usage: { freshInputTokens: 40, cachedInputTokens: 10, outputTokens: 3 },
    },
  });
  const model = "gpt-4o-mini";
  const app = await startApp({
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
    DEFAULT_MODEL: model,
  });
  const close = async () => {
    await app.close();
    await provider.close();
  };
  async function post(path: string, text: string, authorization = `Bearer ${app.key}`, other = {}) {
    const response = await fetch(app.baseUrl + path, {
      method: "POST",
      headers: { authorization, "content-type": "application/json" },
      body: JSON.stringify({ content: [{ text }], ...other }),
    });
    await response.text();
    return response.status;
  }
  try {
    const statuses = [
      await post("/api/v1/chat", "by REST"),
      await post("/api/v1/chat:stream", "as a stream"),
      await post("/api/v1/chat", "of another model", undefined, { model: "openai/one-of-my-own" }),
      await post("/api/v1/chat", "by a stranger", "Bearer nobody"),
      await post("/api/v1/nothing", "for nobody"),
    ];
    provider.script({ status: 400 });
    statuses.push(await post("/api/v1/chat", "refused by the provider"));
    await sendByGrpc(app);
    const expected = [200, 200, 200, 401, 404];
    if (expected.some((status, index) => statuses[index] !== status) || statuses[5]! < 400) {
      throw new Error(`the calls were answered with ${statuses.join(", ")}`);
    }
    return { ...app, model, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function sendByGrpc({ grpcAddress, key }: TestApp): Promise<void> {
  const client = createGrpcClient(ChatService, grpcAddress);
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  const content = [{ part: { case: "text" as const, value: "by gRPC" } }];
  return new Promise<void>((resolve, reject) => {
    const request = create(SendMessageRequestSchema, { content });
    client["SendMessage"]!(request, metadata, (error: Error | null) =>
      error ? reject(error) : resolve(),
    );
  }).finally(() => client.close());
}
