import type { ThinkingConfigParam } from "@anthropic-ai/sdk/resources/messages";
import type { ModelRequest, ReasoningEffort } from "../provider.ts";
import type { ModelRules } from "./model-rules.ts";

/** What a request says about thinking. */
export interface Thinking {
  config?: ThinkingConfigParam;
  effort?: "low" | "medium" | "high";
  /** Whether the model may think, so that earlier thoughts mean something to it. */
  active: boolean;
}

/** The API's least budget. */
export const MIN_BUDGET_TOKENS = 1024;
const BUDGET_TOKENS: Record<Exclude<ReasoningEffort, "none">, number> = {
  minimal: MIN_BUDGET_TOKENS,
  low: 4096,
  medium: 12_288,
  high: 32_768,
};

/**
 * Effort as the model takes it. Thoughts are asked for as summaries: the newest
 * models leave them out otherwise, and send nothing while they think.
 */
export function mapThinking(
  request: ModelRequest,
  rules: ModelRules,
  maxOutputTokens: number,
): Thinking {
  const effort =
    request.reasoningEffort ??
    // A tool can be forced only on a model that does not think.
    (rules.thinksByDefault && forcesTool(request) ? "none" : undefined);
  if (effort === undefined) {
    return rules.thinksByDefault
      ? { config: { type: "adaptive", display: "summarized" }, active: true }
      : { active: false };
  }
  if (effort === "none") {
    return rules.off === "disabled" || rules.off === "between_tools"
      ? { config: { type: rules.off }, active: false }
      : { active: false };
  }
  if (rules.style === "budget") {
    const budget = Math.min(BUDGET_TOKENS[effort], maxOutputTokens - 1);
    return { config: { type: "enabled", budget_tokens: budget }, active: true };
  }
  return {
    config: { type: "adaptive", display: "summarized" },
    effort: effort === "minimal" ? "low" : effort,
    active: true,
  };
}

/** Whether the model must call a tool. */
export function forcesTool({ toolChoice }: ModelRequest): boolean {
  return toolChoice !== undefined && (!("mode" in toolChoice) || toolChoice.mode === "required");
}
