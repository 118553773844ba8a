import { invalidField } from "../../errors.ts";
import type { ModelRequest } from "../provider.ts";
import type { ServerRules } from "./server-rules.ts";

/** Throws INVALID_ARGUMENT for what Chat Completions or the model cannot do. */
export function checkRequest(request: ModelRequest, rules: ServerRules): void {
  const model = rules.model(request.model);
  const effort = request.reasoningEffort;
  const hasTools = (request.tools?.length ?? 0) > 0;
  const stops = request.stop?.length ?? 0;
  if (stops > 0 && !model.stop) {
    throw invalidField("stop", `${request.model} takes no stop sequences`);
  }
  if (rules.maxStopSequences !== undefined && stops > rules.maxStopSequences) {
    throw invalidField("stop", `OpenAI takes at most ${rules.maxStopSequences} stop sequences`);
  }
  if (effort !== undefined && model.reasoning === false) {
    throw invalidField("reasoningEffort", `${request.model} does not reason; leave it unset`);
  }
  if (effort !== undefined && model.refusedEfforts.includes(effort)) {
    throw invalidField("reasoningEffort", `${request.model} does not take ${effort}`);
  }
  if (request.temperature !== undefined && !model.temperature && effort !== "none") {
    throw invalidField("temperature", `${request.model} takes none; leave it unset`);
  }
  if (hasTools && !model.tools) {
    throw invalidField("tools", `${request.model} takes no tools in the Chat Completions API`);
  }
  if (hasTools && model.toolsNeedNoReasoning && effort !== undefined && effort !== "none") {
    throw invalidField("reasoningEffort", `${request.model} takes tools only with effort none`);
  }
}
