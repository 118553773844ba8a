import type { FinishReason } from "../provider.ts";

/** `end_turn`, `stop_sequence` and whatever comes after them ended the answer in the ordinary way. */
export function mapStopReason(reason: string): FinishReason {
  switch (reason) {
    case "max_tokens":
    case "model_context_window_exceeded":
      return "length";
    case "tool_use":
      return "tool_calls";
    case "refusal":
      return "content_filter";
    default:
      return "stop";
  }
}
