/**
 * What a server and its models take. OpenAI's own API is strict and differs from
 * model to model; a compatible server is left to judge for itself, because
 * nothing is known of it but its address.
 */
import type { ReasoningEffort } from "../provider.ts";
import type { SystemRole } from "./map-messages.ts";

export interface ServerRules {
  /**
   * OpenAI's reasoning models know `max_completion_tokens` only; most compatible
   * servers know `max_tokens` only, and ignore what they do not know.
   */
  maxTokensField: "max_completion_tokens" | "max_tokens";
  /** The most stop sequences; undefined: not known. */
  maxStopSequences: number | undefined;
  /** Whether it takes `prompt_cache_key`, by which requests that begin alike meet the same cache. */
  promptCacheKey: boolean;
  model(name: string): ModelRules;
}

/** What one model takes in Chat Completions. */
export interface ModelRules {
  systemRole: SystemRole;
  /** Whether it thinks before it answers; undefined: not known. */
  reasoning: boolean | undefined;
  /** The efforts that it does not take. */
  refusedEfforts: readonly ReasoningEffort[];
  /** Whether it takes `temperature` while it thinks. */
  temperature: boolean;
  stop: boolean;
  /** Whether it takes tools; some models take them in the Responses API only. */
  tools: boolean;
  /** Takes tools only with effort `none`. */
  toolsNeedNoReasoning: boolean;
}

const ANYTHING: ModelRules = {
  systemRole: "system",
  reasoning: undefined,
  refusedEfforts: [],
  temperature: true,
  stop: true,
  tools: true,
  toolsNeedNoReasoning: false,
};
const CHAT: ModelRules = { ...ANYTHING, reasoning: false };
const REASONING: ModelRules = {
  ...ANYTHING,
  systemRole: "developer",
  reasoning: true,
  temperature: false,
  stop: false,
};

/**
 * First match wins. From the model pages and the guide to the latest models at
 * https://developers.openai.com/api/docs/models, read in November 2026.
 */
const OPENAI_MODELS: readonly [RegExp, ModelRules][] = [
  [/^(gpt-3|gpt-4|chatgpt-4o)|-chat(-latest)?$/, CHAT],
  [/^(o1|o3|o4)/, { ...REASONING, refusedEfforts: ["none", "minimal"] }],
  [/^gpt-5(-|$)/, { ...REASONING, refusedEfforts: ["none"] }],
  [/^gpt-5\.[1-3]/, { ...REASONING, refusedEfforts: ["minimal"] }],
  [/^gpt-5\./, { ...REASONING, refusedEfforts: ["minimal"], toolsNeedNoReasoning: true }],
  [/^gpt-6(-astra|\.1-sol)/, { ...REASONING, refusedEfforts: ["none", "minimal"], tools: false }],
  [/^gpt-6/, { ...REASONING, refusedEfforts: ["minimal"], toolsNeedNoReasoning: true }],
];

const OPENAI: ServerRules = {
  maxTokensField: "max_completion_tokens",
  maxStopSequences: 4,
  promptCacheKey: true,
  model: (name) => OPENAI_MODELS.find(([pattern]) => pattern.test(name))?.[1] ?? ANYTHING,
};
const COMPATIBLE: ServerRules = {
  maxTokensField: "max_tokens",
  maxStopSequences: undefined,
  // Strict ones refuse what they do not know.
  promptCacheKey: false,
  model: () => ANYTHING,
};

/** Tells OpenAI's own API from a compatible server by its address. */
export function serverRules(baseUrl: string): ServerRules {
  const { hostname } = new URL(baseUrl);
  return hostname === "openai.com" || hostname.endsWith(".openai.com") ? OPENAI : COMPATIBLE;
}
