import { createHash } from "node:crypto";
import { toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import {
  CacheMode,
  ReasoningEffort as ProtoReasoningEffort,
  SendMessageRequestSchema,
  ToolChoiceMode,
  type ResponseFormat,
  type SendMessageRequest,
  type Tool,
  type ToolChoice,
} from "../../gen/tribe/v1/chat_pb.js";
import { fromProtoContent } from "../conversations/content.rpc.ts";
import { invalidField } from "../errors.ts";
import { isBlank, type ContentPart } from "../providers/content.ts";
import type {
  ModelResponseFormat,
  ModelTool,
  ModelToolChoice,
  ReasoningEffort,
} from "../providers/provider.ts";
import type { TurnRequest } from "./turn-request.ts";

const reasoningEfforts: Partial<Record<ProtoReasoningEffort, ReasoningEffort>> = {
  [ProtoReasoningEffort.NONE]: "none",
  [ProtoReasoningEffort.MINIMAL]: "minimal",
  [ProtoReasoningEffort.LOW]: "low",
  [ProtoReasoningEffort.MEDIUM]: "medium",
  [ProtoReasoningEffort.HIGH]: "high",
};

const toolChoiceModes = {
  [ToolChoiceMode.UNSPECIFIED]: "auto",
  [ToolChoiceMode.AUTO]: "auto",
  [ToolChoiceMode.NONE]: "none",
  [ToolChoiceMode.REQUIRED]: "required",
} as const;

/** SendMessageRequest in the turn's own words. `headerKey` is the `Idempotency-Key` header. */
export function toTurnRequest(request: SendMessageRequest, headerKey: string | null): TurnRequest {
  const idempotencyKey = keyOf(request, headerKey);
  const content = fromProtoContent(request.content);
  if (content.every(saysNothing)) {
    const field = content.length === 1 ? "content[0].text" : "content";
    throw invalidField(field, "says nothing; send text that is more than white space");
  }
  const turn: TurnRequest = {
    conversationId: request.conversationId || undefined,
    parentMessageId: request.parentMessageId || undefined,
    content,
    model: request.model || undefined,
    parameters: parametersOf(request),
    bypassCache: request.cache === CacheMode.BYPASS,
    metadata: request.metadata,
    idempotencyKey,
    requestHash: idempotencyKey === undefined ? undefined : hashOf(request),
  };
  if (turn.parentMessageId !== undefined && turn.conversationId === undefined) {
    throw invalidField("conversationId", "must name the conversation of parentMessageId");
  }
  return turn;
}

function saysNothing(part: ContentPart): boolean {
  return part.type === "text" && isBlank(part.text);
}

function parametersOf(request: SendMessageRequest): TurnRequest["parameters"] {
  const parameters: TurnRequest["parameters"] = {};
  if (request.system !== "") parameters.system = request.system;
  if (request.temperature !== undefined) parameters.temperature = request.temperature;
  if (request.maxOutputTokens !== undefined) parameters.maxOutputTokens = request.maxOutputTokens;
  if (request.stop.length > 0) parameters.stop = request.stop;
  if (request.tools.length > 0) parameters.tools = request.tools.map(toTool);
  const toolChoice = request.toolChoice && toToolChoice(request.toolChoice);
  if (toolChoice) parameters.toolChoice = checkToolChoice(toolChoice, parameters.tools);
  const responseFormat = request.responseFormat && toResponseFormat(request.responseFormat);
  if (responseFormat) parameters.responseFormat = responseFormat;
  const effort = reasoningEfforts[request.reasoningEffort];
  if (effort !== undefined) parameters.reasoningEffort = effort;
  return parameters;
}

function toTool({ name, description, parameters, strict }: Tool): ModelTool {
  const tool: ModelTool = { name, description, strict };
  if (parameters !== undefined) tool.parameters = parameters;
  return tool;
}

function keyOf(request: SendMessageRequest, headerKey: string | null): string | undefined {
  if (headerKey !== null && headerKey.length > 256) {
    throw invalidField(
      "idempotencyKey",
      "the Idempotency-Key header must be at most 256 characters",
    );
  }
  if (headerKey && request.idempotencyKey && headerKey !== request.idempotencyKey) {
    throw invalidField(
      "idempotencyKey",
      "must be the same as the Idempotency-Key header, or unset",
    );
  }
  return request.idempotencyKey || headerKey || undefined;
}

/** Two requests are the same when all their fields are; the key itself may come by header or by field. */
function hashOf(request: SendMessageRequest): Uint8Array {
  // Metadata is a map, whose order on the wire means nothing.
  const metadata = Object.fromEntries(Object.entries(request.metadata).sort());
  const canonical = { ...request, metadata, idempotencyKey: "" } satisfies MessageInitShape<
    typeof SendMessageRequestSchema
  >;
  return createHash("sha256").update(toBinary(SendMessageRequestSchema, canonical)).digest();
}

function toToolChoice({ choice }: ToolChoice): ModelToolChoice | undefined {
  switch (choice.case) {
    case "mode":
      return { mode: toolChoiceModes[choice.value] };
    case "toolName":
      return { toolName: choice.value };
    case undefined:
      return undefined;
  }
}

function checkToolChoice(
  choice: ModelToolChoice,
  tools: readonly ModelTool[] | undefined,
): ModelToolChoice {
  if ("toolName" in choice) {
    if (!tools?.some((tool) => tool.name === choice.toolName)) {
      throw invalidField("toolChoice.toolName", "must be the name of one of tools");
    }
  } else if (choice.mode === "required" && !tools) {
    throw invalidField("toolChoice.mode", "needs at least one of tools");
  }
  return choice;
}

function toResponseFormat({ format }: ResponseFormat): ModelResponseFormat | undefined {
  switch (format.case) {
    case "jsonObject":
      return { type: "json_object" };
    case "jsonSchema":
      return {
        type: "json_schema",
        name: format.value.name || "answer",
        schema: format.value.schema ?? {},
        strict: format.value.strict,
      };
    case "text":
    case undefined:
      return undefined;
  }
}
