import { create, toJson, type Message } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  ChatService,
  SendMessageRequestSchema,
  SendMessageResponseSchema,
  StreamMessageResponseSchema,
  type StreamMessageResponse,
} from "../gen/tribe/v1/chat_pb.js";
import {
  ConversationService,
  ListMessagesRequestSchema,
  ListMessagesResponseSchema,
} from "../gen/tribe/v1/conversation_pb.js";
import { startApp, type TestApp } from "./support/app.ts";
import { connectClients } from "./support/clients.ts";
import { createGrpcClient } from "./support/grpc-client.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "./support/provider-server/provider-server.ts";

/** A client of one door; every answer is its proto3 JSON, so that doors can be compared. */
interface Door {
  send(request: object): Promise<Json>;
  stream(request: object): Promise<Json[]>;
  listMessages(conversationId: string): Promise<Json>;
}
/** What of the answers is looked at by name. */
interface Json {
  conversationId: string;
  assistantMessage: { messageId: string };
}

let provider: ProviderServer;
let app: TestApp;
let doors: Record<string, Door>;

beforeAll(async () => {
  provider = await startProviderServer({
    reply: {
      text: ["The ", "same ", "answer"],
      usage: { freshInputTokens: 40, cachedInputTokens: 10, outputTokens: 3 },
    },
  });
  app = await startApp({ OPENAI_API_KEY: "sk-test", OPENAI_BASE_URL: provider.openaiUrl });
  doors = { rest: restDoor(), connect: connectDoor(), grpc: grpcDoor() };
});
afterAll(async () => {
  await app?.close();
  await provider?.close();
});

function restDoor(): Door {
  async function call(path: string, request?: object, accept = "application/json") {
    const response = await fetch(`${app.baseUrl}/api/v1/${path}`, {
      ...(request && { method: "POST", body: JSON.stringify(request) }),
      headers: {
        authorization: `Bearer ${app.key}`,
        "content-type": "application/json",
        accept,
      },
    });
    expect(response.status).toBe(200);
    return response;
  }
  return {
    send: async (request) => (await call("chat", request)).json() as Promise<Json>,
    async stream(request) {
      const response = await call("chat:stream", request, "text/event-stream");
      const events = (await response.text()).split("\n\n").filter((event) => /^data:/m.test(event));
      return events.map((event) => JSON.parse(/^data: (.*)$/m.exec(event)![1]!) as Json);
    },
    listMessages: async (id) =>
      (await call(`conversations/${id}/messages`)).json() as Promise<Json>,
  };
}

function connectDoor(): Door {
  const { chat, conversations } = connectClients(app);
  return {
    send: async (request) => json(SendMessageResponseSchema, await chat.sendMessage(request)),
    async stream(request) {
      const events: Json[] = [];
      for await (const event of chat.streamMessage(request)) {
        events.push(json(StreamMessageResponseSchema, event));
      }
      return events;
    },
    listMessages: async (conversationId) =>
      json(ListMessagesResponseSchema, await conversations.listMessages({ conversationId })),
  };
}

function grpcDoor(): Door {
  const chat = createGrpcClient(ChatService, app.grpcAddress);
  const conversations = createGrpcClient(ConversationService, app.grpcAddress);
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${app.key}`);
  const unary = <Response extends Message>(client: typeof chat, method: string, request: object) =>
    new Promise<Response>((resolve, reject) => {
      client[method]!(request, metadata, (error: Error | null, response: Response) =>
        error ? reject(error) : resolve(response),
      );
    });
  return {
    send: async (request) =>
      json(
        SendMessageResponseSchema,
        await unary(chat, "SendMessage", create(SendMessageRequestSchema, request)),
      ),
    async stream(request) {
      const call = chat["StreamMessage"]!(create(SendMessageRequestSchema, request), metadata);
      const events: Json[] = [];
      for await (const event of call as AsyncIterable<StreamMessageResponse>) {
        events.push(json(StreamMessageResponseSchema, event));
      }
      return events;
    },
    listMessages: async (conversationId) =>
      json(
        ListMessagesResponseSchema,
        await unary(
          conversations,
          "ListMessages",
          create(ListMessagesRequestSchema, { conversationId }),
        ),
      ),
  };
}

function json(schema: Parameters<typeof toJson>[0], message: Message): Json {
  return toJson(schema, message as never) as unknown as Json;
}

/** The same conversation: a question, a second turn, and a branch as a stream. */
async function converse(door: Door, content: object[]) {
  const first = await door.send({ content, system: "Be brief.", metadata: { ticket: "7" } });
  const { conversationId } = first;
  const second = await door.send({ conversationId, content });
  const parentMessageId = first.assistantMessage.messageId;
  const events = await door.stream({ conversationId, parentMessageId, content });
  return { first, second, events, messages: await door.listMessages(conversationId) };
}

/** Ids become the order in which they first appear, times the word `time`. */
function comparable(value: unknown): unknown {
  const ids = new Map<string, string>();
  const text = JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item !== "string") return item;
    if (/^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(item)) {
      if (!ids.has(item)) ids.set(item, `id ${ids.size}`);
      return ids.get(item);
    }
    return /^\d{4}-\d\d-\d\dT/.test(item) ? "time" : item;
  });
  return JSON.parse(text);
}

it("tells the same conversation through every door, field by field", async () => {
  const rest = comparable(await converse(doors["rest"]!, [{ text: "Hello" }]));
  const part = { case: "text", value: "Hello" };
  const connect = comparable(await converse(doors["connect"]!, [{ part }]));
  const grpc = comparable(await converse(doors["grpc"]!, [{ part }]));
  expect(connect).toEqual(rest);
  expect(grpc).toEqual(rest);
  expect(rest).toMatchObject({
    first: { finishReason: "FINISH_REASON_STOP", usage: { inputTokens: "50" } },
    messages: { messages: { length: 6 } },
  });
});

it("continues on each door what another began", async () => {
  const { conversationId } = await doors["rest"]!.send({ content: [{ text: "One" }] });
  const part = { case: "text", value: "More" };
  await doors["grpc"]!.send({ conversationId, content: [{ part }] });
  await doors["connect"]!.stream({ conversationId, content: [{ part }] });
  const listed = await Promise.all(
    Object.values(doors).map((door) => door.listMessages(conversationId)),
  );
  expect(listed[0]).toMatchObject({ messages: { length: 6 } });
  expect(listed[1]).toEqual(listed[0]);
  expect(listed[2]).toEqual(listed[0]);
});
