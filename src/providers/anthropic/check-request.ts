import { invalidField } from "../../errors.ts";
import type { ModelRequest } from "../provider.ts";
import { forcesTool, MIN_BUDGET_TOKENS } from "./map-thinking.ts";
import { modelRules, type ModelRules } from "./model-rules.ts";

/** Throws INVALID_ARGUMENT for what the Messages API or the model cannot do. */
export function checkRequest(request: ModelRequest): void {
  const rules = modelRules(request.model);
  if (request.responseFormat?.type === "json_object") {
    throw invalidField(
      "responseFormat.jsonObject",
      "Anthropic keeps to a schema only; use jsonSchema",
    );
  }
  for (const [index, stop] of (request.stop ?? []).entries()) {
    if (stop.trim() === "") {
      throw invalidField(`stop[${index}]`, "Anthropic takes no stop sequence of white space only");
    }
  }
  checkThinking(request, rules);
  checkTemperature(request, rules);
}

function checkThinking(request: ModelRequest, rules: ModelRules): void {
  const { model, reasoningEffort: effort } = request;
  if (effort === "none" && rules.off === "impossible") {
    throw invalidField("reasoningEffort", `${model} always reasons; low is the least`);
  }
  const thinks = effort !== undefined && effort !== "none";
  if (thinks && rules.style === "none") {
    throw invalidField("reasoningEffort", `${model} does not reason; leave it unset`);
  }
  const maxOutputTokens = request.maxOutputTokens ?? rules.maxOutputTokens;
  if (thinks && rules.style === "budget" && maxOutputTokens <= MIN_BUDGET_TOKENS) {
    throw invalidField(
      "maxOutputTokens",
      `must be more than ${MIN_BUDGET_TOKENS} when ${model} reasons`,
    );
  }
  if (forcesTool(request) && (!rules.forcedTools || thinks)) {
    throw invalidField(
      "toolChoice",
      rules.forcedTools
        ? `${model} cannot be made to call a tool while it reasons`
        : `${model} cannot be made to call a tool; use auto`,
    );
  }
}

function checkTemperature(request: ModelRequest, rules: ModelRules): void {
  const { model, temperature, reasoningEffort: effort } = request;
  if (temperature === undefined) return;
  if (!rules.temperature) {
    throw invalidField("temperature", `${model} takes none; leave it unset`);
  }
  if (temperature > 1) throw invalidField("temperature", "Anthropic takes 0 to 1");
  if (temperature !== 1 && effort !== undefined && effort !== "none") {
    throw invalidField("temperature", `${model} takes none while it reasons; leave it unset`);
  }
}
