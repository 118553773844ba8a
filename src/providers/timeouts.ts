import { DomainError, type ErrorReason } from "../errors.ts";
import type {
  ModelDelta,
  ModelRequest,
  ModelResult,
  ModelSink,
  Provider,
  TokenUsage,
} from "./provider.ts";

/** How long a provider may take, in milliseconds. */
export interface ProviderTimeouts {
  /** From the call to the first content, connecting included. */
  firstTokenMs: number;
  /** From one content to the next. Keep-alives and usage are no content. */
  idleMs: number;
  /** From the call to the end of the answer. */
  totalMs: number;
}

/** One minute for the first content, one between contents, ten in all. */
export const DEFAULT_TIMEOUTS: ProviderTimeouts = {
  firstTokenMs: 60_000,
  idleMs: 60_000,
  totalMs: 600_000,
};

/** What is known of a call while it goes on. */
export interface CallProgress {
  /** When the first content came, by performance.now(); 0: none has come. */
  firstContentAt: number;
  /** What the provider told so far. */
  usage: TokenUsage | undefined;
}

/**
 * Calls a provider and breaks it off with DEADLINE_EXCEEDED when it takes too
 * long. Content only notes the time: one timer serves the whole call, and is set
 * anew when it fires too early, not with every piece.
 */
export async function answerInTime(
  provider: Provider,
  request: ModelRequest,
  sink: ModelSink,
  signal: AbortSignal,
  timeouts: ProviderTimeouts = DEFAULT_TIMEOUTS,
  progress?: CallProgress,
): Promise<ModelResult> {
  signal.throwIfAborted();
  const controller = new AbortController();
  const begin = performance.now();
  let lastContent = 0;

  function onAbort(): void {
    controller.abort(signal.reason);
  }
  function onTimer(): void {
    const now = performance.now();
    const wait = dueTime() - now;
    // Timers may fire up to a millisecond early.
    if (wait > 1) timer = arm(wait);
    else controller.abort(overdue(now));
  }
  /** Never sleeps longer than content may stay away: it may begin and stop meanwhile. */
  function arm(wait: number) {
    return setTimeout(onTimer, Math.min(wait, timeouts.idleMs));
  }
  function dueTime(): number {
    const next = lastContent === 0 ? begin + timeouts.firstTokenMs : lastContent + timeouts.idleMs;
    return Math.min(next, begin + timeouts.totalMs);
  }
  function overdue(now: number): DomainError {
    const who = `${provider.name} (${request.model})`;
    const metadata = { provider: provider.name, model: request.model };
    const [reason, message]: [ErrorReason, string] =
      now + 1 >= begin + timeouts.totalMs
        ? ["PROVIDER_TOTAL_TIMEOUT", `${who} took longer than ${timeouts.totalMs} ms in all`]
        : lastContent === 0
          ? ["PROVIDER_FIRST_TOKEN_TIMEOUT", `${who} sent nothing for ${timeouts.firstTokenMs} ms`]
          : ["PROVIDER_IDLE_TIMEOUT", `${who} stopped sending for ${timeouts.idleMs} ms`];
    return new DomainError("DEADLINE_EXCEEDED", reason, message, { metadata });
  }

  const watched: ModelSink = {
    delta(delta: ModelDelta) {
      const now = performance.now();
      if (lastContent === 0 && progress !== undefined) progress.firstContentAt = now;
      lastContent = now;
      sink.delta(delta);
    },
    usage(usage) {
      if (progress !== undefined) progress.usage = usage;
      sink.usage(usage);
    },
  };
  let timer = arm(dueTime() - begin);
  signal.addEventListener("abort", onAbort);
  try {
    return await provider.answer(request, watched, controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
