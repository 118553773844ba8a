/** Reads the events of a Messages stream. */
import { complaintError, protocolError, truncatedError, type ProviderTarget } from "../errors.ts";
import type { AnswerReader } from "../http/event-stream.ts";
import { createTextTemplate } from "../http/text-template.ts";
import type { ModelSink, TokenUsage } from "../provider.ts";
import { mapStopReason } from "./map-stop-reason.ts";
import { mapUsage } from "./map-usage.ts";
import type { WireBlock, WireDelta, WireEvent, WireUsage } from "./wire.ts";

/** An answer is complete after a stop reason and `message_stop`. */
export function createAnswerReader(sink: ModelSink, target: ProviderTarget): AnswerReader {
  let model = target.model;
  let stopReason: string | undefined;
  let stopped = false;
  let usage: TokenUsage | undefined;
  let started = false;
  let toolCalls = 0;
  /** Whether the tool call under way has any arguments yet. */
  let toolInput: "none yet" | "some" | undefined;
  const template = createTextTemplate("text");

  function event(data: string, _name: string, cut: boolean): boolean {
    started = true;
    const text = template.match(data);
    if (text !== undefined) {
      sink.delta({ type: "text", text });
      return false;
    }
    const event = parseEvent(data, cut, target);
    switch (event.type) {
      case "content_block_delta":
        readDelta(event.delta);
        if (event.delta.type === "text_delta") template.learn(data, event.delta.text);
        return false;
      case "content_block_start":
        readBlock(event.content_block);
        return false;
      case "content_block_stop":
        // A tool without arguments comes without a single piece of them.
        if (toolInput === "none yet") readToolInput("{}");
        toolInput = undefined;
        return false;
      case "message_start":
        if (event.message.model) model = event.message.model;
        if (event.message.usage) readUsage(event.message.usage);
        return false;
      case "message_delta":
        if (event.delta.stop_reason) stopReason = event.delta.stop_reason;
        if (event.usage) readUsage(event.usage);
        return false;
      case "message_stop":
        stopped = true;
        requireStop();
        return true;
      case "error":
        throw complaintError(
          { type: event.error?.type, message: event.error?.message ?? "" },
          target,
        );
      default:
        // `ping`, and events that do not exist yet.
        return false;
    }
  }

  function readBlock(block: WireBlock): void {
    if (block.type === "tool_use") {
      toolInput = "none yet";
      toolCalls += 1;
      sink.delta({
        type: "tool_call",
        index: toolCalls - 1,
        toolCallId: block.id,
        name: block.name,
        arguments: "",
      });
    } else if (block.type === "redacted_thinking") {
      sink.delta({ type: "reasoning", text: "", redacted: block.data });
    } else if (block.type === "text" && block.text) {
      readText(block.text);
    }
  }

  function readDelta(delta: WireDelta): void {
    switch (delta.type) {
      case "text_delta":
        readText(delta.text);
        return;
      case "input_json_delta":
        if (delta.partial_json !== "") readToolInput(delta.partial_json);
        return;
      case "thinking_delta":
        sink.delta({ type: "reasoning", text: delta.thinking });
        return;
      case "signature_delta":
        sink.delta({ type: "reasoning", text: "", signature: delta.signature });
    }
  }

  function readText(text: string): void {
    sink.delta({ type: "text", text });
  }

  function readToolInput(json: string): void {
    toolInput = "some";
    sink.delta({ type: "tool_call", index: toolCalls - 1, arguments: json });
  }

  function readUsage(wire: WireUsage): void {
    usage = mapUsage(wire, usage);
    sink.usage(usage);
  }

  function requireStop(): string {
    if (!stopped) throw truncatedError(target, "it has no message_stop");
    if (stopReason === undefined) throw truncatedError(target, "it has no stop_reason");
    return stopReason;
  }

  return {
    started: () => started,
    event,
    end: () => void requireStop(),
    result: () => ({ finishReason: mapStopReason(requireStop()), usage, model }),
  };
}

function parseEvent(data: string, cut: boolean, target: ProviderTarget): WireEvent {
  let event: unknown;
  try {
    event = JSON.parse(data);
  } catch (error) {
    if (cut) throw truncatedError(target, "within an event", error);
    throw protocolError(target, "an event is not JSON", error);
  }
  if (typeof event !== "object" || event === null || !("type" in event)) {
    throw protocolError(target, "an event has no type");
  }
  return event as WireEvent;
}
