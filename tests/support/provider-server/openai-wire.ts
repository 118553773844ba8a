/** Renders replies as the Chat Completions API sends them. */
import { pieces, tokensOf, type Answer } from "./answer.ts";

export function openaiUsage(answer: Answer) {
  const usage = tokensOf(answer);
  const cached = usage.cachedInputTokens ?? 0;
  const written = usage.cacheWriteTokens ?? 0;
  const input = usage.freshInputTokens + cached + written;
  return {
    prompt_tokens: input,
    completion_tokens: usage.outputTokens,
    total_tokens: input + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: cached, cache_write_tokens: written, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoningTokens ?? 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** The events of a stream, the closing `[DONE]` included. */
export function openaiEvents(answer: Answer): string[] {
  const { reply, model, body } = answer;
  const head = {
    id: "chatcmpl-test",
    object: "chat.completion.chunk",
    created: 1_780_000_000,
    model,
    service_tier: "default",
    system_fingerprint: null,
  };
  const withUsage = (body["stream_options"] as { include_usage?: boolean } | undefined)
    ?.include_usage;
  const usage = withUsage && reply.usage !== null ? { usage: null } : {};
  const events: string[] = [];
  const choice = (delta: object, finishReason: string | null = null) =>
    events.push(
      `data: ${JSON.stringify({
        ...head,
        choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
        ...usage,
      })}\n\n`,
    );

  choice({ role: "assistant", content: "", refusal: null });
  for (const text of pieces(reply.reasoning)) choice({ reasoning_content: text });
  for (const text of pieces(reply.text)) choice({ content: text });
  for (const [index, call] of (reply.toolCalls ?? []).entries()) {
    choice({
      tool_calls: [
        { index, id: call.id, type: "function", function: { name: call.name, arguments: "" } },
      ],
    });
    for (const text of pieces(call.arguments)) {
      choice({ tool_calls: [{ index, function: { arguments: text } }] });
    }
  }
  choice({}, reply.finishReason ?? (reply.toolCalls ? "tool_calls" : "stop"));
  if (withUsage && reply.usage !== null) {
    events.push(
      `data: ${JSON.stringify({ ...head, choices: [], usage: openaiUsage(answer) })}\n\n`,
    );
  }
  events.push("data: [DONE]\n\n");
  return events;
}

/** The body of an answer that is not streamed. */
export function openaiUnary(answer: Answer) {
  const { reply, model } = answer;
  return {
    id: "chatcmpl-test",
    object: "chat.completion",
    created: 1_780_000_000,
    model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: pieces(reply.text).join("") || null,
          refusal: null,
          annotations: [],
          ...(reply.toolCalls && {
            tool_calls: reply.toolCalls.map((call) => ({
              id: call.id,
              type: "function",
              function: { name: call.name, arguments: pieces(call.arguments).join("") },
            })),
          }),
        },
        logprobs: null,
        finish_reason: reply.finishReason ?? (reply.toolCalls ? "tool_calls" : "stop"),
      },
    ],
    ...(reply.usage !== null && { usage: openaiUsage(answer) }),
    service_tier: "default",
    system_fingerprint: null,
  };
}

/** The body of an error answer. */
export function openaiError(status: number): object {
  const errors: Record<number, [type: string, code: string | null, message: string]> = {
    400: ["invalid_request_error", null, "Invalid value for 'messages'."],
    401: [
      "invalid_request_error",
      "invalid_api_key",
      "Incorrect API key provided: sk-secr**********cret. You can find your API key at https://platform.openai.com.",
    ],
    404: ["invalid_request_error", "model_not_found", "The model `nope` does not exist."],
    429: ["requests", "rate_limit_exceeded", "Rate limit reached for requests."],
    500: ["server_error", null, "The server had an error while processing your request."],
    503: ["server_error", null, "That model is currently overloaded with other requests."],
  };
  const [type, code, message] = errors[status] ?? ["server_error", null, `status ${status}`];
  return { error: { message, type, param: null, code } };
}

/** An error after the stream began. */
export function openaiErrorEvent(error: unknown): string {
  return `data: ${JSON.stringify(error ?? openaiError(500))}\n\n`;
}
