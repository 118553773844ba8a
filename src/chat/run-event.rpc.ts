import {
  RunState,
  type ResumeRunResponse,
  type RunFailed,
  type SendMessageResponse,
  type StreamMessageResponse,
} from "../../gen/tribe/v1/chat_pb.js";
import { toProtoMessage } from "../conversations/message.rpc.ts";
import { statusCode } from "../errors.ts";
import type { RunEvent } from "./run.ts";
import type { TurnResult } from "./turn-result.ts";

type ProtoEvent = StreamMessageResponse["event"];

/*
 * Messages are written as plain objects with their `$typeName`, which is what
 * `create` would give for these proto3 messages at many times the cost; there
 * is one for every piece of every stream.
 */

/** An event as StreamMessage sends it. */
export function toStreamMessageResponse(sequence: number, event: RunEvent): StreamMessageResponse {
  return {
    $typeName: "tribe.v1.StreamMessageResponse",
    sequence: BigInt(sequence),
    event: toProtoEvent(event),
  };
}

/** An event as ResumeRun sends it. */
export function toResumeRunResponse(sequence: number, event: RunEvent): ResumeRunResponse {
  return {
    $typeName: "tribe.v1.ResumeRunResponse",
    sequence: BigInt(sequence),
    event: toProtoEvent(event),
  };
}

/** A stored turn as SendMessage answers it. */
export function toSendMessageResponse(result: TurnResult): SendMessageResponse {
  const assistantMessage = toProtoMessage(result.assistantMessage);
  const response: SendMessageResponse = {
    $typeName: "tribe.v1.SendMessageResponse",
    runId: result.runId,
    conversationId: result.conversationId,
    userMessage: toProtoMessage(result.userMessage),
    assistantMessage,
    finishReason: assistantMessage.finishReason,
    cached: result.cached,
    model: assistantMessage.model,
    provider: assistantMessage.provider,
  };
  if (assistantMessage.usage) response.usage = assistantMessage.usage;
  if (assistantMessage.costMicros !== undefined) response.costMicros = assistantMessage.costMicros;
  return response;
}

function toProtoEvent(event: RunEvent): ProtoEvent {
  switch (event.type) {
    case "text":
      return { case: "textDelta", value: { $typeName: "tribe.v1.TextDelta", text: event.text } };
    case "reasoning":
      return {
        case: "reasoningDelta",
        value: { $typeName: "tribe.v1.ReasoningDelta", text: event.text },
      };
    case "tool_call":
      return {
        case: "toolCallDelta",
        value: {
          $typeName: "tribe.v1.ToolCallDelta",
          index: event.index,
          toolCallId: event.toolCallId ?? "",
          name: event.name ?? "",
          arguments: event.arguments,
        },
      };
    case "run_started":
      return {
        case: "runStarted",
        value: {
          $typeName: "tribe.v1.RunStarted",
          runId: event.runId,
          conversationId: event.userMessage.conversationId,
          userMessage: toProtoMessage(event.userMessage),
          assistantMessageId: event.assistantMessageId,
        },
      };
    case "completed":
      return {
        case: "completed",
        value: {
          $typeName: "tribe.v1.RunCompleted",
          response: toSendMessageResponse(event.result),
        },
      };
    case "failed":
      return { case: "failed", value: toRunFailed(event) };
  }
}

const failedStates = {
  failed: RunState.FAILED,
  cancelled: RunState.CANCELLED,
  interrupted: RunState.INTERRUPTED,
} as const;

function toRunFailed({ status, error, result }: RunEvent & { type: "failed" }): RunFailed {
  return {
    $typeName: "tribe.v1.RunFailed",
    state: failedStates[status],
    code: statusCode(error.code),
    reason: error.reason,
    message: error.message,
    assistantMessage: toProtoMessage(result.assistantMessage),
  };
}
