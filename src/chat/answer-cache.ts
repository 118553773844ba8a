/**
 * The same question, with the same context and parameters, is answered once: later ones
 * get the stored answer, and those that are asked meanwhile, at whatever process, wait
 * for it instead of asking the provider too.
 */
import { hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { StoredMessage } from "../conversations/message.ts";
import type { Caller } from "../identity/caller.ts";
import { createDeadline } from "../limits/deadline.ts";
import type { ModelChoice } from "../providers/models.ts";
import type { ModelRequest } from "../providers/provider.ts";
import type { Counters } from "../telemetry/counters.ts";
import { type AnswerCacheStore, type CacheState, leaseMs } from "./answer-cache.store.ts";

/** What may be changed without a restart. */
export interface CachePolicy {
  /** How long an answer is given again, in seconds. 0: never. */
  readonly seconds: number;
  /** Whether an answer is given to its own user only. */
  readonly perUser: boolean;
  /** Differs whenever anything was set that an answer could depend on. */
  readonly revision: number;
}

/** A question as the provider would get it. */
export interface CacheQuestion {
  runId: string;
  caller: Pick<Caller, "userId">;
  choice: ModelChoice;
  request: ModelRequest;
  bypass: boolean;
}

/** What callers are told in `x-tribe-cache`. */
export type CacheStatus = "hit" | "miss" | "bypass";

/** One question's way through the cache. */
export interface CacheEntry {
  /** `hit` also while somebody else is asking the same. */
  readonly status: CacheStatus;
  /**
   * The answer of the run that gave it, if there is one, waiting for whoever asks now. Undefined: the
   * caller is the one to ask, and says `end` when it has. Rejects when the signal aborts.
   */
  answer(signal: AbortSignal): Promise<StoredMessage | undefined>;
  /** The run has ended; `isWhole`: its answer is stored, complete, and may be given to others. */
  end(isWhole: boolean): void;
}

export type LookUp = (question: CacheQuestion) => Promise<CacheEntry>;

export interface AnswerCacheParts {
  store: AnswerCacheStore;
  /** The complete answer of a run, if it is still stored. */
  findAnswer(runId: string): Promise<StoredMessage | undefined>;
  policy(): CachePolicy;
  counters: Counters;
  /** How often one looks whether the other has its answer, milliseconds. Default: 50. */
  pollMs?: number;
}

/** Nobody is waited for, and nobody is told: everybody asks. */
const untouched: Omit<CacheEntry, "status"> = {
  answer: () => Promise.resolve(undefined),
  end: () => {},
};

/** How long Redis is let alone after it did not answer, milliseconds. */
const restMs = 1_000;
/** How long it is waited for, milliseconds. */
const patienceMs = 100;

export function createAnswerCache(parts: AnswerCacheParts): LookUp {
  const { store, policy, pollMs = 50 } = parts;
  const outcomes = parts.counters.counter(
    "tribe_cache_lookups",
    "Turns by what the cache of answers had for them",
  );
  let restUntil = 0;
  const deadline = createDeadline(patienceMs, () => (restUntil = performance.now() + restMs));

  /** What is known; undefined when Redis does not answer. */
  async function look(digest: string, owner: string): Promise<CacheState | undefined> {
    if (performance.now() < restUntil) return undefined;
    const pending = store.look(digest, owner);
    const state = await deadline.within<CacheState | undefined>(pending, () => undefined);
    // Whoever is told too late that it asks for others does not know that it should tell them.
    if (state === undefined) void pending.then(() => store.release(digest, owner)).catch(() => {});
    return state;
  }
  const findAnswer = (runId: string) => parts.findAnswer(runId).catch(() => undefined);

  async function lookUp(question: CacheQuestion): Promise<CacheEntry> {
    const { seconds } = policy();
    if (question.bypass || seconds === 0) return { status: "bypass", ...untouched };
    const digest = digestOf(question, policy());
    const owner = question.runId;
    let renewal: NodeJS.Timeout | undefined;

    function lead(): void {
      const renew = () => void store.renew(digest, owner).catch(() => {});
      renewal = setInterval(renew, leaseMs / 3).unref();
    }
    function end(isWhole: boolean): void {
      if (renewal === undefined) return;
      clearInterval(renewal);
      renewal = undefined;
      const ended = isWhole
        ? store.keep(digest, owner, owner, seconds)
        : store.release(digest, owner);
      // Without Redis nobody waits for it, or until its lease has run out.
      ended.catch(() => {});
    }

    let state = await look(digest, owner);
    let found: StoredMessage | undefined;
    if (state?.state === "answered") {
      found = await findAnswer(state.runId);
      // It was deleted: the next to ask answers for all.
      if (found === undefined) state = { state: "leading" };
    }
    if (state?.state === "leading") lead();
    const status = found !== undefined || state?.state === "asked" ? "hit" : "miss";
    return {
      status,
      end,
      async answer(signal) {
        while (state?.state === "asked") {
          await delay(pollMs, undefined, { signal });
          state = await look(digest, owner);
          if (state?.state === "answered") found = await findAnswer(state.runId);
          if (state?.state === "leading") lead();
        }
        return found;
      },
    };
  }

  return async (question) => {
    const entry = await lookUp(question);
    outcomes.add({ status: entry.status });
    return entry;
  };
}

/** Everything that the answer depends on. */
function digestOf({ caller, choice, request }: CacheQuestion, policy: CachePolicy): string {
  const whose = policy.perUser ? caller.userId : "";
  const text = JSON.stringify([whose, policy.revision, describe(choice), request]);
  return hash("sha256", text, "base64url");
}

const descriptions = new WeakMap<ModelChoice, string>();

/** Who answers, and at which price. */
function describe(choice: ModelChoice): string {
  let text = descriptions.get(choice);
  if (text === undefined) {
    text = JSON.stringify(choice, (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    descriptions.set(choice, text);
  }
  return text;
}
