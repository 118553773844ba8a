import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ContentPartSchema } from "../../gen/tribe/v1/message_pb.js";
import { fromProtoContent, toProtoContent } from "../../src/conversations/content.rpc.ts";
import { DomainError } from "../../src/errors.ts";
import type { ContentPart } from "../../src/providers/content.ts";

type Init = NonNullable<MessageInitShape<typeof ContentPartSchema>["part"]>;

const parts = (...inits: Init[]) => inits.map((part) => create(ContentPartSchema, { part }));

function failureOf(...inits: Init[]): DomainError {
  try {
    fromProtoContent(parts(...inits));
  } catch (error) {
    if (error instanceof DomainError) return error;
  }
  throw new Error("it is no mistake");
}

describe("what a user says", () => {
  test.each<[Init, ContentPart]>([
    [
      { case: "text", value: "Hi \u{1f600}" },
      { type: "text", text: "Hi \u{1f600}" },
    ],
    [
      {
        case: "image",
        value: {
          source: { case: "data", value: new Uint8Array([1, 2, 255]).subarray(1) },
          mediaType: "image/png",
        },
      },
      { type: "image", mediaType: "image/png", data: "Av8=" },
    ],
    [
      { case: "image", value: { source: { case: "url", value: "https://x.test/a.png" } } },
      { type: "image", url: "https://x.test/a.png" },
    ],
    [
      { case: "toolResult", value: { toolCallId: "c1", content: "42" } },
      { type: "tool_result", toolCallId: "c1", content: "42" },
    ],
    [
      { case: "toolResult", value: { toolCallId: "c1", content: "no", isError: true } },
      { type: "tool_result", toolCallId: "c1", content: "no", isError: true },
    ],
  ])("%j is stored and comes back", (init, stored) => {
    expect(fromProtoContent(parts(init))).toEqual([stored]);
    expect(fromProtoContent(toProtoContent([stored]))).toEqual([stored]);
  });

  test.each<[string, Init]>([
    ["content[1]", { case: undefined }],
    ["content[1].text", { case: "text", value: "a\0" }],
    ["content[1].text", { case: "text", value: "\ud800" }],
    ["content[1].image", { case: "image", value: {} }],
    [
      "content[1].image",
      {
        case: "image",
        value: { source: { case: "data", value: new Uint8Array() }, mediaType: "image/png" },
      },
    ],
    [
      "content[1].image.mediaType",
      { case: "image", value: { source: { case: "data", value: new Uint8Array([1]) } } },
    ],
    [
      "content[1].image.url",
      { case: "image", value: { source: { case: "url", value: "https://" } } },
    ],
    [
      "content[1].toolResult.content",
      { case: "toolResult", value: { toolCallId: "c", content: "\0" } },
    ],
    ["content[1].toolCall", { case: "toolCall", value: { toolCallId: "c", name: "f" } }],
    ["content[1].reasoning", { case: "reasoning", value: { text: "hm" } }],
  ])("is refused with the field's name: %s", (field, init) => {
    const failure = failureOf({ case: "text", value: "ok" }, init);
    expect(failure.code).toBe("INVALID_ARGUMENT");
    expect(failure.fields.map((violation) => violation.field)).toEqual([field]);
  });
});

test("what a model says comes to the caller", () => {
  const stored: ContentPart[] = [
    { type: "reasoning", text: "hm", signature: "s" },
    { type: "reasoning", text: "", redacted: "r" },
    { type: "tool_call", toolCallId: "c", name: "f", arguments: "{" },
    { type: "text", text: "ok" },
  ];
  expect(toProtoContent(stored)).toEqual(
    parts(
      { case: "reasoning", value: { text: "hm", signature: "s" } },
      { case: "reasoning", value: { redacted: "r" } },
      { case: "toolCall", value: { toolCallId: "c", name: "f", arguments: "{" } },
      { case: "text", value: "ok" },
    ),
  );
});
