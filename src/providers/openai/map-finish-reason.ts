import type { FinishReason } from "../provider.ts";

/**
 * Compatible servers have reasons of their own (`eos`, `end_turn`, …): whatever
 * is not known ended the answer in the ordinary way. Some say `stop` after tool
 * calls.
 */
export function mapFinishReason(reason: string, hasToolCalls: boolean): FinishReason {
  switch (reason) {
    case "length":
    case "max_tokens":
      return "length";
    case "content_filter":
    case "safety":
      return "content_filter";
    default:
      return hasToolCalls ? "tool_calls" : "stop";
  }
}
