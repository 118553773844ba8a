/** Reads the chunks of a Chat Completions stream. */
import { complaintError, protocolError, truncatedError, type ProviderTarget } from "../errors.ts";
import type { AnswerReader } from "../http/event-stream.ts";
import { createTextTemplate } from "../http/text-template.ts";
import type { ModelSink, TokenUsage } from "../provider.ts";
import { mapFinishReason } from "./map-finish-reason.ts";
import { mapUsage } from "./map-usage.ts";
import type { WireChoice, WireChunk, WireDelta, WireError, WireUsage } from "./wire.ts";

/**
 * An answer is complete after a finish reason and then `[DONE]` or the end of
 * the body: the usage follows the finish reason, and not every server sends
 * `[DONE]`.
 */
export function createAnswerReader(sink: ModelSink, target: ProviderTarget): AnswerReader {
  let model = target.model;
  let modelKnown = false;
  let finishReason: string | undefined;
  let refused = false;
  let usage: TokenUsage | undefined;
  let started = false;
  let toolCalls: ToolCallIndex | undefined;
  const template = createTextTemplate("content");

  function event(data: string, name: string, cut: boolean): boolean {
    started = true;
    if (data === "[DONE]") {
      requireFinish();
      return true;
    }
    // A keep-alive of some servers.
    if (data === "") return false;
    const text = name === "" ? template.match(data) : undefined;
    if (text !== undefined) {
      if (text !== "") sink.delta({ type: "text", text });
      return false;
    }
    const chunk = parseChunk(data, cut, target);
    if (chunk.error || name === "error") throw streamError(chunk.error ?? data, target);
    if (!modelKnown && chunk.model) {
      model = chunk.model;
      modelKnown = true;
    }
    const choice = chunk.choices?.[0];
    if (choice) {
      if (choice.error) throw streamError(choice.error, target);
      if (choice.delta) readDelta(choice.delta);
      if (choice.finish_reason) finishReason = readFinish(choice.finish_reason);
      if (choice.usage) readUsage(choice.usage);
    }
    if (chunk.usage) readUsage(chunk.usage);
    else if (choice && isTextOnly(chunk, choice)) template.learn(data, choice.delta.content);
    return false;
  }

  function readDelta(delta: WireDelta): void {
    const thoughts = delta.reasoning_content ?? delta.reasoning;
    if (thoughts) {
      sink.delta({ type: "reasoning", text: thoughts });
    }
    if (delta.content) {
      sink.delta({ type: "text", text: delta.content });
    }
    if (delta.refusal) {
      refused = true;
      sink.delta({ type: "text", text: delta.refusal });
    }
    if (delta.tool_calls) {
      toolCalls ??= createToolCallIndex();
      for (const call of delta.tool_calls) {
        const { index, isNew } = toolCalls.find(call.index ?? undefined, call.id || undefined);
        const text = call.function?.arguments ?? "";
        sink.delta(
          isNew
            ? {
                type: "tool_call",
                index,
                toolCallId: call.id || `call_${index}`,
                name: call.function?.name ?? "",
                arguments: text,
              }
            : { type: "tool_call", index, arguments: text },
        );
      }
    }
  }

  function readUsage(wire: WireUsage): void {
    usage = mapUsage(wire);
    sink.usage(usage);
  }

  function readFinish(reason: string): string {
    // OpenRouter and DeepSeek say so when their upstream or hardware failed.
    if (reason === "error" || reason === "insufficient_system_resource") {
      throw streamError({ type: "server_error", message: `finish_reason ${reason}` }, target);
    }
    return reason;
  }

  function requireFinish(): string {
    if (finishReason === undefined) throw truncatedError(target, "it has no finish_reason");
    return finishReason;
  }

  return {
    started: () => started,
    event,
    end: () => void requireFinish(),
    result: () => ({
      finishReason: refused
        ? "content_filter"
        : mapFinishReason(requireFinish(), toolCalls !== undefined),
      usage,
      model,
    }),
  };
}

/** Whether the chunk says nothing but a piece of text. */
function isTextOnly(
  chunk: WireChunk,
  choice: WireChoice,
): choice is WireChoice & { delta: { content: string } } {
  const { delta } = choice;
  return (
    chunk.choices?.length === 1 &&
    !choice.finish_reason &&
    !choice.usage &&
    typeof delta?.content === "string" &&
    !delta.reasoning_content &&
    !delta.reasoning &&
    !delta.refusal &&
    !delta.tool_calls
  );
}

interface ToolCallIndex {
  /** Our index of the call that a piece belongs to. */
  find(wireIndex: number | undefined, id: string | undefined): { index: number; isNew: boolean };
}

/**
 * Numbers tool calls from 0 as they appear. Servers are at odds: OpenAI tells
 * calls apart by `index` and names the id once; others leave the index out,
 * give every call index 0, or repeat the id in each piece.
 */
function createToolCallIndex(): ToolCallIndex {
  const calls: { wireIndex: number | undefined; id: string | undefined }[] = [];
  return {
    find(wireIndex, id) {
      for (let index = calls.length - 1; index >= 0; index -= 1) {
        const call = calls[index];
        const same =
          id === undefined || call?.id === undefined
            ? wireIndex === undefined || call?.wireIndex === wireIndex
            : call.id === id;
        if (same) return { index, isNew: false };
      }
      calls.push({ wireIndex, id });
      return { index: calls.length - 1, isNew: true };
    },
  };
}

function parseChunk(data: string, cut: boolean, target: ProviderTarget): WireChunk {
  let chunk: unknown;
  try {
    chunk = JSON.parse(data);
  } catch (error) {
    if (cut) throw truncatedError(target, "within an event", error);
    throw protocolError(target, "an event is not JSON", error);
  }
  if (typeof chunk !== "object" || chunk === null) {
    throw protocolError(target, "an event is not a JSON object");
  }
  return chunk;
}

function streamError(error: WireError | string, target: ProviderTarget): Error {
  if (typeof error === "string") return complaintError({ message: error }, target);
  const { message, type, code } = error;
  return complaintError(
    {
      // Gateways put the status of their upstream into `code`.
      status: typeof code === "number" && code >= 400 && code < 600 ? code : undefined,
      message: message ?? "",
      type: type ?? undefined,
      code: typeof code === "string" ? code : undefined,
    },
    target,
  );
}
