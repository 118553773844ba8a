import { DomainError } from "../errors.ts";
import { checkCapabilities } from "./check-capabilities.ts";
import type { ModelRoute } from "./failover.ts";
import type { ModelChoice } from "./model-choice.ts";
import type { ModelRequest } from "./provider.ts";
import { estimateContentTokens, estimateTokens } from "./tokens.ts";

/**
 * The models that can answer a request in place of another, the preferred one
 * first: those that lack something that the request uses, or room for it, are
 * left out. `needsLarger`: only those with a larger context than the model's own.
 */
export function fallbackRoutes(
  choice: ModelChoice,
  request: ModelRequest,
  needsLarger: boolean,
  find: (model: string) => ModelChoice | undefined,
): ModelRoute[] {
  const names = choice.entry.fallbacks ?? [];
  if (names.length === 0) return [];
  const needed = neededTokens(request);
  const least = needsLarger ? (choice.contextTokens ?? needed) + 1 : needed;
  return names
    .map(find)
    .filter((other) => other !== undefined)
    .filter((other) => (other.contextTokens ?? Infinity) >= least && isAble(other, request))
    .map(({ route }) => route);
}

function neededTokens({ system, tools, messages, maxOutputTokens = 0 }: ModelRequest): number {
  let tokens = maxOutputTokens + estimateTokens(system ?? "");
  if (tools !== undefined) tokens += estimateTokens(JSON.stringify(tools));
  for (const { content } of messages) tokens += estimateContentTokens(content);
  return tokens;
}

function isAble({ entry, route }: ModelChoice, request: ModelRequest): boolean {
  try {
    checkCapabilities(entry, request);
  } catch (error) {
    if (error instanceof DomainError) return false;
    throw error;
  }
  return route.deployments.some((deployment) => canTake(deployment, request));
}

/** Whether the provider of a deployment can do what is asked. */
export function canTake(
  { provider, upstream }: ModelRoute["deployments"][number],
  request: ModelRequest,
): boolean {
  try {
    provider.check(upstream(request));
    return true;
  } catch (error) {
    if (error instanceof DomainError) return false;
    throw error;
  }
}
