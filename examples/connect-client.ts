/**
 * A conversation over Connect, as a service of yours would hold it:
 *
 *     TRIBE_API_KEY=$(cat .tribe/admin-key) npx node examples/connect-client.ts
 */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { ChatService, ConversationService } from "tribe/client";

const { TRIBE_URL = "http://127.0.0.1:8080", TRIBE_API_KEY = "" } = process.env;

const transport = createConnectTransport({
  baseUrl: TRIBE_URL,
  httpVersion: "1.1",
  interceptors: [
    (next) => (request) => {
      request.header.set("authorization", `Bearer ${TRIBE_API_KEY}`);
      return next(request);
    },
  ],
});
const chat = createClient(ChatService, transport);
const conversations = createClient(ConversationService, transport);
const text = (value: string) => ({ part: { case: "text" as const, value } });

try {
  // One question, one answer. Both are stored.
  const answer = await chat.sendMessage({ content: [text("Hello, who are you?")] });
  print(`${answer.model} answered in conversation ${answer.conversationId}`);

  // The next question in the same conversation, its answer as it is written.
  const events = chat.streamMessage({
    conversationId: answer.conversationId,
    content: [text("Say it again, please.")],
  });
  for await (const { event } of events) {
    if (event.case === "textDelta") process.stdout.write(event.value.text);
    if (event.case === "completed") {
      print(`\nfor ${event.value.response?.costMicros ?? "?"} millionths of a dollar`);
    }
    if (event.case === "failed") throw new Error(event.value.message);
  }

  const { messages } = await conversations.listMessages({
    conversationId: answer.conversationId,
  });
  print(`${messages.length} messages are stored`);
} catch (error) {
  const { code, rawMessage } = ConnectError.from(error);
  print(`${Code[code]}: ${rawMessage}`);
  process.exitCode = 1;
}

function print(line: string) {
  process.stdout.write(`${line}\n`);
}
