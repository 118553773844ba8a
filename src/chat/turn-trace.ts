import { currentSpan, type Span, withSpan } from "../telemetry/span.ts";
import type { Generate } from "./generation.ts";
import type { RunEvent } from "./run.ts";

/**
 * `generate`, which is a span where the trace is sampled: from the opened turn to its settled
 * answer. It may outlive the span of the call that began it.
 */
export function traceTurns(generate: Generate): Generate {
  return (run, input) => {
    const parent = currentSpan();
    if (parent === undefined) return generate(run, input);
    const span = parent.child("chat turn", "internal", {
      "gen_ai.conversation.id": input.opened.conversationId,
      "gen_ai.request.model": input.choice.model,
      "tribe.run.id": run.runId,
    });
    return withSpan(span, async () => {
      await generate(run, input);
      end(span, await run.ended);
    });
  };
}

function end(span: Span, event: RunEvent & { type: "completed" | "failed" }): void {
  const { answer } = event.result.assistantMessage;
  const { cached, attempts } = event.result;
  span.set({
    "gen_ai.provider.name": answer?.provider,
    "gen_ai.response.model": answer?.model,
    "gen_ai.response.finish_reasons": answer?.finishReason && [answer.finishReason],
    "gen_ai.usage.input_tokens": answer?.usage?.inputTokens,
    "gen_ai.usage.output_tokens": answer?.usage?.outputTokens,
    "tribe.cost.micros": answer?.costMicros === undefined ? undefined : Number(answer.costMicros),
    "tribe.cached": cached,
    "tribe.attempts": attempts,
  });
  span.end(event.type === "failed" ? event.error.reason : undefined);
}
