import type { LiveDeployment } from "./deployment.ts";

/**
 * Chooses who is asked: of those that may be asked now the ones of the lowest
 * order, and among them by weight. `deployments` are sorted by order; `random`
 * gives 0 to 1. Undefined: nobody may be asked.
 */
export function chooseDeployment(
  deployments: readonly LiveDeployment[],
  isExcluded: (deployment: LiveDeployment) => boolean,
  random: () => number,
): LiveDeployment | undefined {
  let only: LiveDeployment | undefined;
  let candidates: LiveDeployment[] | undefined;
  for (const deployment of deployments) {
    if (only !== undefined && deployment.order > only.order) break;
    if (deployment.weight === 0 || isExcluded(deployment) || !deployment.circuit.admits()) continue;
    if (only === undefined) only = deployment;
    else (candidates ??= [only]).push(deployment);
  }
  return candidates === undefined ? only : drawByWeight(candidates, random);
}

function drawByWeight(
  candidates: readonly LiveDeployment[],
  random: () => number,
): LiveDeployment | undefined {
  let total = 0;
  for (const { weight } of candidates) total += weight;
  let ticket = random() * total;
  for (const candidate of candidates) {
    ticket -= candidate.weight;
    if (ticket < 0) return candidate;
  }
  return candidates.at(-1);
}
