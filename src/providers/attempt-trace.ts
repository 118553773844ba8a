/** The span of an attempt, by OpenTelemetry's conventions for generative AI. */
import { currentSpan, errorTypeOf, type Span, withSpan } from "../telemetry/span.ts";
import { attempt, type Outcome } from "./attempt.ts";
import type { ModelRequest, ModelSink } from "./provider.ts";

/** `attempt`, which is a client span where the trace is sampled. */
export const tracedAttempt: typeof attempt = (deployment, request, sink, signal, timeouts) => {
  const parent = currentSpan();
  if (parent === undefined) return attempt(deployment, request, sink, signal, timeouts);
  const { answerer } = deployment;
  const upstream = deployment.upstream(request);
  const span = parent.child(`chat ${upstream.model}`, "client", {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": answerer.provider,
    "gen_ai.request.model": upstream.model,
    "gen_ai.request.temperature": upstream.temperature,
    "gen_ai.request.max_tokens": upstream.maxOutputTokens,
    "gen_ai.output.type": upstream.responseFormat === undefined ? "text" : "json",
    "tribe.deployment": answerer.deployment,
  });
  const heard = span.recordsContent ? listenTo(sink) : { sink, text: undefined };
  if (span.recordsContent) span.set(questionOf(upstream));
  const begin = performance.now();
  return withSpan(span, async () => {
    const outcome = await attempt(deployment, request, heard.sink, signal, timeouts);
    end(span, outcome, begin, heard.text?.());
    return outcome;
  });
};

function end(span: Span, outcome: Outcome, begin: number, text: string | undefined): void {
  const { progress, result } = outcome;
  const usage = result?.usage ?? progress.usage;
  span.set({
    "gen_ai.response.model": result?.model,
    "gen_ai.response.finish_reasons": result && [result.finishReason],
    "gen_ai.response.time_to_first_chunk":
      progress.firstContentAt === 0 ? undefined : (progress.firstContentAt - begin) / 1000,
    "gen_ai.usage.input_tokens": usage?.inputTokens,
    "gen_ai.usage.output_tokens": usage?.outputTokens,
    "gen_ai.usage.cache_read.input_tokens": usage?.cachedInputTokens,
    "gen_ai.output.messages":
      text === undefined ? undefined : JSON.stringify([{ role: "assistant", content: text }]),
  });
  span.end(outcome.result === undefined ? errorTypeOf(outcome.error) : undefined);
}

function questionOf({ system, messages, stop }: ModelRequest) {
  return {
    "gen_ai.request.stop_sequences": stop,
    "gen_ai.system_instructions": system,
    "gen_ai.input.messages": JSON.stringify(messages),
  };
}

/** Keeps the text that passes. */
function listenTo(sink: ModelSink): { sink: ModelSink; text: () => string } {
  let text = "";
  return {
    text: () => text,
    sink: {
      delta(delta) {
        if (delta.type === "text") text += delta.text;
        sink.delta(delta);
      },
      usage: (usage) => sink.usage(usage),
    },
  };
}
