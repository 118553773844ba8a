import { randomUUIDv7 } from "node:crypto";
import { fromJsonString } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConversationSchema, ExportFormat } from "../../gen/tribe/v1/conversation_pb.js";
import { MessageSchema } from "../../gen/tribe/v1/message_pb.js";
import { createConversationRepository } from "../../src/conversations/conversation.repository.ts";
import { exportConversation, jsonLines } from "../../src/conversations/export.ts";
import { createMessageRepository } from "../../src/conversations/message.repository.ts";
import type { ContentPart } from "../../src/providers/content.ts";
import { fillBranch } from "../postgres/fill.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { failureOf } from "./calls.ts";
import { createConversations, nobody } from "./conversations.ts";

let database: TestDatabase;
let conversations: ReturnType<typeof createConversations>;
let userId: string;

beforeAll(async () => {
  database = await createDatabase();
  conversations = createConversations(database);
  userId = await database.createUser();
});
afterAll(() => database.close());

describe("JSONL", () => {
  test("is the conversation, then its messages, a line each", async () => {
    const first = await conversations.turn(userId, "a\nb");
    const { conversationId } = first;
    const side = await conversations.turn(userId, "side", {
      conversationId,
      parentMessageId: first.userMessageId,
    });
    const file = await conversations.exported(userId, { conversationId });
    expect(file.contentTypes).toEqual(["application/jsonl; charset=utf-8"]);
    const [head, ...lines] = file.text.trimEnd().split("\n");
    expect(fromJsonString(ConversationSchema, head ?? "")).toEqual(
      await conversations.get(userId, conversationId),
    );
    const { messages } = await conversations.messages(userId, { conversationId });
    expect(lines.map((line) => fromJsonString(MessageSchema, line))).toEqual(messages);

    const branch = await conversations.exported(userId, {
      conversationId,
      leafMessageId: side.assistantMessageId,
    });
    expect(idsOf(branch.text)).toEqual([
      first.userMessageId,
      side.userMessageId,
      side.assistantMessageId,
    ]);
  });

  test("of an empty conversation is one line", async () => {
    const { conversationId } = await conversations.create(userId);
    const { text } = await conversations.exported(userId, { conversationId });
    expect(text.split("\n")).toHaveLength(2);
  });
});

describe("Markdown", () => {
  test("can be read", async () => {
    const content: ContentPart[] = [
      { type: "text", text: "Look:\n\n- **this**" },
      { type: "image", mediaType: "image/png", data: "AAEC" },
      { type: "image", url: "https://x.test/a b.png" },
      { type: "tool_result", toolCallId: "c", content: "a ```` b", isError: true },
    ];
    const first = await conversations.turn(userId, "", {
      content,
      title: "A\n title",
      system: "Be\nbrief.",
    });
    const { conversationId } = first;
    const side = await conversations.turn(userId, "side", {
      conversationId,
      parentMessageId: first.userMessageId,
    });
    await database.sql(`update messages set status = 'failed', content = ? where id = ?`, [
      JSON.stringify([
        { type: "reasoning", text: "Hm.\nWell." },
        { type: "tool_call", toolCallId: "c", name: "f", arguments: "{}" },
      ]),
      side.assistantMessageId,
    ]);
    const file = await conversations.exported(userId, {
      conversationId,
      format: ExportFormat.MARKDOWN,
    });
    expect(file.contentTypes).toEqual(["text/markdown; charset=utf-8"]);
    expect(file.text.replaceAll(/<!-- .* -->/g, "<!-- -->")).toBe(`# A title

> Be
> brief.

## 1. User

<!-- -->

Look:

- **this**

*A picture: image/png, 3 bytes.*

![A picture](<https://x.test/a b.png>)

The tool failed:

\`\`\`\`\`
a \`\`\`\` b
\`\`\`\`\`

## 2. Assistant (demo-1)

<!-- -->

!

## 3. User

<!-- -->

*Continues from message ${first.userMessageId}.*

side

## 4. Assistant (demo-1)

<!-- -->

> Hm.
> Well.

Calls the tool \`f\`:

\`\`\`json
{}
\`\`\`

*The answer is failed.*
`);
  });
});

test("somebody else's and missing ones are not exported", async () => {
  const { conversationId, userMessageId } = await conversations.turn(userId, "x");
  const stranger = await database.createUser();
  const other = await conversations.turn(userId, "y");
  const failures = await Promise.all(
    [
      conversations.exported(stranger, { conversationId }),
      conversations.exported(stranger, { conversationId, leafMessageId: userMessageId }),
      conversations.exported(userId, { conversationId: nobody }),
      conversations.exported(userId, { conversationId, leafMessageId: other.userMessageId }),
    ].map(failureOf),
  );
  expect(failures.map(({ code }) => code)).toEqual([
    "NOT_FOUND",
    "NOT_FOUND",
    "NOT_FOUND",
    "INVALID_ARGUMENT",
  ]);
});

test("pieces are small even when messages are large", async () => {
  const text = "\u{1f600}x".repeat(200_000);
  const { conversationId } = await conversations.turn(userId, text);
  const file = await conversations.exported(userId, { conversationId });
  expect(Math.max(...file.sizes)).toBeLessThanOrEqual(256 * 1024);
  expect(file.sizes.length).toBeGreaterThan(4);
  expect(file.text).toContain(`"${text}!"`);
});

describe("a conversation of 100,000 messages", () => {
  const length = 100_000;
  const timeout = 120_000;
  const conversationId = randomUUIDv7();
  let leafMessageId: string;

  beforeAll(async () => {
    leafMessageId = await fillBranch(database, userId, conversationId, length);
  });

  test.each(["the whole tree", "one branch"])(
    "is exported in small batches: %s",
    async (what) => {
      const { postgres } = database;
      const messages = createMessageRepository(postgres);
      let read = 0;
      let largest = 0;
      const file = exportConversation(
        {
          conversations: createConversationRepository(postgres),
          messages: {
            async page(request) {
              const page = await messages.page(request);
              const { length } = typeof page === "string" ? [] : page.messages;
              read += length;
              largest = Math.max(largest, length);
              return page;
            },
          },
        },
        {
          userId,
          conversationId,
          leafMessageId: what === "one branch" ? leafMessageId : undefined,
        },
        jsonLines,
      );
      const decoder = new TextDecoder();
      let lines = -1;
      let ahead = 0;
      let rest = "";
      for await (const piece of file) {
        const parts = (rest + decoder.decode(piece, { stream: true })).split("\n");
        rest = parts.pop() ?? "";
        for (const line of parts) {
          // The conversation is line 0, so the line's number is the message's sequence.
          lines += 1;
          if (lines > 0 && !line.includes(`"sequence":"${lines}"`)) throw new Error(line);
        }
        ahead = Math.max(ahead, read - lines);
      }
      expect(lines).toBe(length);
      expect(largest).toBe(100);
      // What was read but not yet given: never more than a piece and a batch.
      expect(ahead).toBeLessThan(1000);
    },
    timeout,
  );
});

function idsOf(text: string): string[] {
  const [, ...lines] = text.trimEnd().split("\n");
  return lines.map((line) => fromJsonString(MessageSchema, line).messageId);
}
