/** Validation: what is wrong is named, and the quick look never lets it through. */
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import fc from "fast-check";
import { expect, test } from "vitest";
import { AdminService } from "../../gen/tribe/v1/admin_pb.js";
import { ChatService, SendMessageRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import { ConversationService } from "../../gen/tribe/v1/conversation_pb.js";
import { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import { UsageService } from "../../gen/tribe/v1/usage_pb.js";
import type { DomainError } from "../../src/errors.ts";
import { collectMethods } from "../../src/rpc/invoke.ts";
import { createValidationInterceptor } from "../../src/rpc/validation/interceptor.ts";
import { surelyValid } from "../../src/rpc/validation/surely-valid.ts";
import { textCheck } from "../../src/rpc/validation/text.ts";
import { arbitraryMessage } from "../support/arbitrary-message.ts";

const validator = createValidator();
const services = [ChatService, ConversationService, IdentityService, UsageService, AdminService];
const requests = new Map(
  services.flatMap(({ methods }) =>
    methods.map(({ input }): [string, DescMessage] => [input.typeName, input]),
  ),
);

function isValid(schema: DescMessage, message: Message): boolean {
  const badText = textCheck(schema)?.(message);
  return !badText && validator.validate(schema, message).kind === "valid";
}

test.each([...requests.keys()])("%s: what looks surely valid is valid", (name) => {
  const schema = requests.get(name)!;
  const look = surelyValid(schema);
  const lie = (message: Message) => look(message) && !isValid(schema, message);
  const property = fc.property(arbitraryMessage(schema), (message) => !lie(message));
  expect(fc.check(property, { numRuns: 3000 }).counterexample).toBeNull();
});

const content = [{ part: { case: "text" as const, value: "Hello" } }];
const uuid = "0198c0de-0000-7000-8000-000000000000";
test.each([
  { content },
  { content, model: "gpt-5.1", system: "Be brief. é 😀", temperature: 0, maxOutputTokens: 1 },
  { content, conversationId: uuid, parentMessageId: uuid, stop: ["a"], metadata: { color: "red" } },
  {
    content,
    tools: [{ name: "get_weather", description: "…", parameters: { type: "object" } }],
    toolChoice: { choice: { case: "toolName" as const, value: "get_weather" } },
  },
  {
    content: [
      {
        part: {
          case: "image" as const,
          value: {
            source: { case: "data" as const, value: new Uint8Array(10) },
            mediaType: "image/png",
          },
        },
      },
      { part: { case: "toolResult" as const, value: { toolCallId: "1", content: "{}" } } },
    ],
  },
])("an ordinary request needs the quick look only: %j", (init) => {
  expect(surelyValid(SendMessageRequestSchema)(create(SendMessageRequestSchema, init))).toBe(true);
});

/** The field violations of a SendMessageRequest. */
async function violationsOf(init: object): Promise<Record<string, string>> {
  const [method] = collectMethods(
    (router) => router.rpc(ChatService.method.sendMessage, () => ({})),
    [createValidationInterceptor()],
  );
  const context = method!.createContext({
    protocolName: "test",
    requestMethod: "POST",
    url: "http://localhost/",
    requestHeader: new Headers(),
  });
  const message = create(SendMessageRequestSchema, init);
  const error = await method!.invokeUnary(message, context).then(
    () => undefined,
    (reason: DomainError) => reason,
  );
  context.abort();
  expect(error?.code).toBe("INVALID_ARGUMENT");
  const [first] = error?.fields ?? [];
  expect(error?.message.startsWith(`${first?.field}: ${first?.description}`)).toBe(true);
  return Object.fromEntries(error!.fields.map(({ field, description }) => [field, description]));
}

test("names every wrong field in JSON names, and what would be right", async () => {
  const violations = await violationsOf({
    content: [
      {},
      { part: { case: "text", value: "é".repeat(500_001) } },
      { part: { case: "image", value: { mediaType: "image/bmp" } } },
    ],
    conversationId: "mine",
    model: "m".repeat(257),
    temperature: 9,
    maxOutputTokens: 0,
    stop: ["ok", ""],
    tools: [{ name: "a b" }],
    toolChoice: {},
    reasoningEffort: 99,
    metadata: { "": "empty", long: "x".repeat(513) },
  });
  expect(violations).toEqual({
    "content[0]": "set exactly one of text, image, toolCall, toolResult, reasoning",
    "content[1].text": "must be at most 1000000 bytes",
    "content[2].image": "set exactly one of data, url",
    "content[2].image.mediaType": expect.stringContaining("image/png"),
    conversationId: "must be a valid UUID",
    model: "must be at most 256 characters",
    temperature: "must be greater than or equal to 0 and less than or equal to 2",
    maxOutputTokens: "must be greater than or equal to 1 and less than or equal to 1000000",
    "stop[1]": "must be at least 1 characters",
    "tools[0].name": expect.stringContaining("^[a-zA-Z0-9_-]{1,64}$"),
    toolChoice: "set exactly one of mode, toolName",
    reasoningEffort: expect.stringContaining("defined enum values"),
    'metadata[""]': "must be at least 1 characters",
    'metadata["long"]': "must be at most 512 characters",
  });
});

test.each([
  [{ content, system: "a\0" }, "system"],
  [{ content, metadata: { "a\0": "b" } }, String.raw`metadata["a\u0000"]`],
  [{ content, metadata: { a: "\ud800" } }, 'metadata["a"]'],
  [{ content, stop: ["a", "\0"] }, "stop[1]"],
  [
    { content, tools: [{ name: "t", parameters: { a: [{ "\0": 1 }] } }] },
    String.raw`tools[0].parameters["a"][0]["\u0000"]`,
  ],
])("names text that cannot be stored: %j", async (init, field) => {
  expect(Object.keys(await violationsOf(init))).toEqual([field]);
});
