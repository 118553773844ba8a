import type { CatalogModel, Deployment } from "./catalog.ts";
import type { Circuits } from "./circuits.ts";
import { createDeployment } from "./deployment.ts";
import type { ModelRoute } from "./failover.ts";
import type { Answerer } from "./model-answer.ts";
import type { Provider } from "./provider.ts";
import type { ProviderTimeouts } from "./timeouts.ts";

/** A model that was resolved for one turn; as an Answerer, who is asked first. */
export interface ModelChoice extends Answerer {
  /** What that provider calls it; goes into ModelRequest.model. */
  readonly upstreamModel: string;
  /** Undefined: not known. */
  readonly contextTokens: number | undefined;
  /** Undefined: not known. */
  readonly maxOutputTokens: number | undefined;
  /** What the catalogue says of it. */
  readonly entry: CatalogModel;
  /** How it is asked. */
  readonly route: ModelRoute;
}

/** What choices are made with. */
export interface ChoiceParts {
  /** Undefined: the deployment has no account. */
  providerOf: (deployment: Deployment) => Provider | undefined;
  circuits: Circuits;
  /** Which account a deployment is called with, as a word that tells no secret. Default: all have one. */
  accountOf?: ((deployment: Deployment) => string) | undefined;
  timeouts: ProviderTimeouts;
  /** Of models without their own. */
  priceVersion: string;
}

/** Undefined when no deployment of the model has an account. */
export function createChoice(entry: CatalogModel, parts: ChoiceParts): ModelChoice | undefined {
  const { providerOf, circuits, accountOf = () => "", timeouts } = parts;
  const { model, price, priceVersion = parts.priceVersion } = entry;
  const deployments = entry.deployments
    .map((deployment, index) => ({
      deployment,
      name: deployment.name ?? deploymentName(entry, index),
      provider: providerOf(deployment),
    }))
    .filter((it): it is typeof it & { provider: Provider } => it.provider !== undefined)
    .map(({ deployment, name, provider }) => ({
      deployment,
      live: createDeployment({
        answerer: { model, provider: provider.name, deployment: name, price, priceVersion },
        deployment,
        entry,
        provider,
        // What failed with one key or address says nothing of the next, as after a restart with another.
        circuit: circuits.create(`${name} ${accountOf(deployment)}`),
      }),
    }))
    .sort((one, other) => one.live.order - other.live.order);
  const first = deployments[0];
  if (first === undefined) return undefined;
  return {
    ...first.live.answerer,
    upstreamModel: first.deployment.model,
    contextTokens: entry.contextTokens,
    maxOutputTokens: entry.maxOutputTokens,
    entry,
    route: {
      model,
      deployments: deployments.map(({ live }) => live),
      timeouts: ownTimeouts(entry, timeouts),
      hedgeAfterMs: entry.hedgeAfterMs,
      isMixed: deployments.some(
        ({ deployment }) =>
          deployment.provider !== first.deployment.provider ||
          deployment.model !== first.deployment.model ||
          deployment.account?.baseUrl !== first.deployment.account?.baseUrl,
      ),
    },
  };
}

/** The name of a deployment that was given none: `fast/openai`, `fast/openai-2`. */
export function deploymentName({ model, deployments }: CatalogModel, index: number): string {
  const provider = deployments[index]?.provider ?? "";
  const earlier = deployments.slice(0, index).filter((it) => it.provider === provider).length;
  return `${model}/${provider}${earlier === 0 ? "" : `-${earlier + 1}`}`;
}

function ownTimeouts(entry: CatalogModel, usual: ProviderTimeouts): ProviderTimeouts {
  const {
    firstTokenMs = usual.firstTokenMs,
    idleMs = usual.idleMs,
    totalMs = usual.totalMs,
  } = entry;
  return { firstTokenMs, idleMs, totalMs };
}
