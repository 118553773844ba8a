/**
 * What Claude models take; they differ in how they think and in what they
 * refuse while they do.
 * https://platform.claude.com/docs/en/build-with-claude/thinking
 */

/** How a model is told to think. */
export type ThinkingStyle =
  /** Not at all. */
  | "none"
  /** `enabled` with a budget of tokens. */
  | "budget"
  /** `adaptive` with an effort. */
  | "adaptive"
  /** Nothing is known. */
  | "unknown";

/** How thinking is switched off. */
export type ThinkingOff =
  /** It is off unless asked for. */
  | "omit"
  | "disabled"
  /** No thoughts before the answer, only notes between tool calls. */
  | "between_tools"
  /** It always thinks. */
  | "impossible";

export interface ModelRules {
  style: ThinkingStyle;
  off: ThinkingOff;
  /** Thinks unless told not to. */
  thinksByDefault: boolean;
  /** Takes `temperature`, between 0 and 1. */
  temperature: boolean;
  /** Takes a tool choice of `required` or of one tool, while it does not think. */
  forcedTools: boolean;
  /** Refuses thoughts whose conversation has changed since, unless it may drop them. */
  bindsThoughts: boolean;
  /** The most tokens of one answer. */
  maxOutputTokens: number;
}

const BUDGET: ModelRules = {
  style: "budget",
  off: "omit",
  thinksByDefault: false,
  temperature: true,
  forcedTools: true,
  bindsThoughts: false,
  maxOutputTokens: 64_000,
};
const ADAPTIVE: ModelRules = { ...BUDGET, style: "adaptive", maxOutputTokens: 128_000 };
/** 4.7 and 4.8: sampling is no longer theirs to be told. */
const UNSAMPLED: ModelRules = { ...ADAPTIVE, temperature: false };
/** 5 and later: thinking is on unless switched off. */
const THINKER: ModelRules = { ...UNSAMPLED, off: "disabled", thinksByDefault: true };
const BOUND: ModelRules = { ...THINKER, bindsThoughts: true };
const ALWAYS: ModelRules = { ...BOUND, off: "impossible", forcedTools: false };

/** Nothing is held back from a model that is not known. */
const UNKNOWN: ModelRules = {
  ...BUDGET,
  style: "unknown",
  maxOutputTokens: 32_000,
};

/** First match wins. Read in November 2026. */
const MODELS: readonly [RegExp, ModelRules][] = [
  [/^claude-(fable|mythos)-5$/, { ...ALWAYS, bindsThoughts: false }],
  [/^claude-(fable|mythos)-5-/, ALWAYS],
  [/^claude-opus-5-5/, ALWAYS],
  [/^claude-sonnet-5-5/, { ...BOUND, off: "between_tools", forcedTools: false }],
  [/^claude-haiku-5-5/, BOUND],
  [/^claude-(opus|sonnet)-5$/, THINKER],
  [/^claude-opus-4-[78]/, UNSAMPLED],
  [/^claude-opus-4-6/, ADAPTIVE],
  [/^claude-sonnet-4-6/, { ...ADAPTIVE, maxOutputTokens: 64_000 }],
  [/^claude-(opus|sonnet|haiku)-4-5/, BUDGET],
  [/^claude-3-(5|opus|haiku|sonnet)/, { ...BUDGET, style: "none", maxOutputTokens: 4096 }],
];

/** The rules of a model, by the name that Anthropic gives it. */
export function modelRules(model: string): ModelRules {
  return MODELS.find(([pattern]) => pattern.test(model))?.[1] ?? UNKNOWN;
}
