/** Renders replies as the Messages API sends them. */
import { pieces, tokensOf, type Answer } from "./answer.ts";

export function anthropicUsage(answer: Answer) {
  const usage = tokensOf(answer);
  return {
    input_tokens: usage.freshInputTokens,
    cache_creation_input_tokens: usage.cacheWriteTokens ?? 0,
    cache_read_input_tokens: usage.cachedInputTokens ?? 0,
    output_tokens: usage.outputTokens,
    ...(usage.reasoningTokens !== undefined && {
      output_tokens_details: { thinking_tokens: usage.reasoningTokens },
    }),
  };
}

function stopReason({ reply }: Answer): string {
  return reply.finishReason ?? (reply.toolCalls ? "tool_use" : "end_turn");
}

function event(data: { type: string; [key: string]: unknown }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The events of a stream, `message_stop` included. */
export function anthropicEvents(answer: Answer): string[] {
  const { reply, model } = answer;
  const usage = anthropicUsage(answer);
  const noUsage = reply.usage === null;
  const events: string[] = [
    event({
      type: "message_start",
      message: {
        id: "msg_test",
        type: "message",
        role: "assistant",
        model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        ...(!noUsage && { usage: { ...usage, output_tokens: 1 } }),
      },
    }),
  ];
  let index = -1;
  const block = (start: object, deltas: readonly object[]) => {
    index += 1;
    events.push(event({ type: "content_block_start", index, content_block: start }));
    if (index === 0) events.push(event({ type: "ping" }));
    for (const delta of deltas) events.push(event({ type: "content_block_delta", index, delta }));
    events.push(event({ type: "content_block_stop", index }));
  };
  if (reply.reasoning !== undefined) {
    block({ type: "thinking", thinking: "", signature: "" }, [
      ...pieces(reply.reasoning).map((thinking) => ({ type: "thinking_delta", thinking })),
      { type: "signature_delta", signature: reply.signature ?? "c2lnbmF0dXJl" },
    ]);
  }
  if (reply.redacted !== undefined) block({ type: "redacted_thinking", data: reply.redacted }, []);
  if (pieces(reply.text).length > 0) {
    block(
      { type: "text", text: "" },
      pieces(reply.text).map((text) => ({ type: "text_delta", text })),
    );
  }
  for (const call of reply.toolCalls ?? []) {
    block(
      { type: "tool_use", id: call.id, name: call.name, input: {} },
      pieces(call.arguments).map((json) => ({ type: "input_json_delta", partial_json: json })),
    );
  }
  events.push(
    event({
      type: "message_delta",
      delta: { stop_reason: stopReason(answer), stop_sequence: null },
      ...(!noUsage && { usage }),
    }),
    event({ type: "message_stop" }),
  );
  return events;
}

/** The body of an answer that is not streamed. */
export function anthropicUnary(answer: Answer) {
  const { reply, model } = answer;
  const text = pieces(reply.text).join("");
  return {
    id: "msg_test",
    type: "message",
    role: "assistant",
    model,
    content: [
      ...(text ? [{ type: "text", text }] : []),
      ...(reply.toolCalls ?? []).map((call) => ({
        type: "tool_use",
        id: call.id,
        name: call.name,
        input: JSON.parse(pieces(call.arguments).join("") || "{}") as unknown,
      })),
    ],
    stop_reason: stopReason(answer),
    stop_sequence: null,
    usage: anthropicUsage(answer),
  };
}

/** The body of an error answer. */
export function anthropicError(status: number): object {
  const errors: Record<number, [type: string, message: string]> = {
    400: ["invalid_request_error", "messages: at least one message is required"],
    401: ["authentication_error", "invalid x-api-key sk-ant-secret"],
    404: ["not_found_error", "model: nope"],
    413: ["request_too_large", "Request exceeds the maximum size"],
    429: ["rate_limit_error", "This request would exceed your rate limit"],
    500: ["api_error", "Internal server error"],
    529: ["overloaded_error", "Overloaded"],
  };
  const [type, message] = errors[status] ?? ["api_error", `status ${status}`];
  return { type: "error", error: { type, message }, request_id: "req_test" };
}

/** An error after the stream began. */
export function anthropicErrorEvent(error: unknown): string {
  return `event: error\ndata: ${JSON.stringify(error ?? anthropicError(529))}\n\n`;
}
