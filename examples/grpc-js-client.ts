/**
 * The same conversation over gRPC with @grpc/grpc-js:
 *
 *     TRIBE_API_KEY=$(cat .tribe/admin-key) npx node examples/grpc-js-client.ts
 */
import { credentials, Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { ChatService, ConversationService, type ListMessagesResponse } from "tribe/client";
import type { SendMessageResponse } from "tribe/client";
import { createGrpcClient } from "tribe/client/grpc-js";

const { TRIBE_GRPC_ADDRESS = "127.0.0.1:9090", TRIBE_API_KEY = "" } = process.env;

const chat = createGrpcClient(ChatService, TRIBE_GRPC_ADDRESS, credentials.createInsecure());
const conversations = createGrpcClient(
  ConversationService,
  TRIBE_GRPC_ADDRESS,
  credentials.createInsecure(),
);
const metadata = new Metadata();
metadata.set("authorization", `Bearer ${TRIBE_API_KEY}`);
const text = (value: string) => ({ part: { case: "text" as const, value } });

try {
  // One question, one answer. Both are stored. A call always gets a deadline.
  const answer = await new Promise<SendMessageResponse>((resolve, reject) => {
    chat.sendMessage(
      { content: [text("Hello, who are you?")] },
      metadata,
      { deadline: Date.now() + 60_000 },
      (error, response) => (response ? resolve(response) : reject(error)),
    );
  });
  print(`${answer.model} answered in conversation ${answer.conversationId}`);

  // The next question in the same conversation, its answer as it is written.
  const events = chat.streamMessage(
    { conversationId: answer.conversationId, content: [text("Say it again, please.")] },
    metadata,
    { deadline: Date.now() + 60_000 },
  );
  for await (const { event } of events) {
    if (event.case === "textDelta") process.stdout.write(event.value.text);
    if (event.case === "completed") {
      print(`\nfor ${event.value.response?.costMicros ?? "?"} millionths of a dollar`);
    }
    if (event.case === "failed") throw new Error(event.value.message);
  }

  const { messages } = await new Promise<ListMessagesResponse>((resolve, reject) => {
    conversations.listMessages(
      { conversationId: answer.conversationId },
      metadata,
      (error, response) => (response ? resolve(response) : reject(error)),
    );
  });
  print(`${messages.length} messages are stored`);
} catch (error) {
  const { code, details, message } = error as ServiceError;
  print(code === undefined ? message : `${status[code]}: ${details}`);
  process.exitCode = 1;
} finally {
  chat.close();
  conversations.close();
}

function print(line: string) {
  process.stdout.write(`${line}\n`);
}
