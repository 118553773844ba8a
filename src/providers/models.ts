/** Which models there are, what is known of them, and how to ask one. */
import { invalidField } from "../errors.ts";
import { DEMO_MODEL } from "./built-in-catalog.ts";
import type { Catalog, CatalogModel, Deployment, Price } from "./catalog.ts";
import { checkCapabilities } from "./check-capabilities.ts";
import { createLocalCircuits, type Circuits } from "./circuits.ts";
import type { DeploymentAdjustment, DeploymentState } from "./deployment.ts";
import { createFailover, DEFAULT_FAILOVER, type FailoverPolicy } from "./failover.ts";
import { canTake, fallbackRoutes } from "./fallbacks.ts";
import type { AnswerSink, ModelAnswer } from "./model-answer.ts";
import { createChoice, type ModelChoice } from "./model-choice.ts";
import type { ModelRequest, Provider } from "./provider.ts";
import { DEFAULT_TIMEOUTS, type ProviderTimeouts } from "./timeouts.ts";

export type { ModelChoice } from "./model-choice.ts";

/** A model that can be asked, as ListModels tells of it. */
export interface ModelInfo {
  /** What callers put into `SendMessageRequest.model`. */
  model: string;
  /** Who serves it. */
  provider: string;
  /** Whether it is asked when no model is named. */
  default: boolean;
  /** Tokens that question, history and answer share. 0: not known. */
  contextTokens: number;
  /** The most tokens of one answer. 0: not known. */
  maxOutputTokens: number;
  images: boolean;
  tools: boolean;
  jsonSchema: boolean;
  reasoning: boolean;
  /** Undefined: not known. */
  price: Price | undefined;
}

export interface Models {
  /**
   * Finds a model by its name, or the default one. `provider/name` asks a
   * configured provider for a model that the catalogue does not have. Throws
   * INVALID_ARGUMENT for `model`.
   */
  resolve(name: string | undefined): ModelChoice;
  /** The same without an error: undefined for a model that is not known any more. */
  find(name: string): ModelChoice | undefined;
  /** All models whose provider is configured, the default one first. */
  list(): readonly ModelInfo[];
  /**
   * Throws INVALID_ARGUMENT, naming the field, for what the model or its
   * provider cannot do. The last message is the request's `content`.
   */
  check(choice: ModelChoice, request: ModelRequest): void;
  /**
   * Asks the model, streaming, within the time limits; when it fails before the
   * first piece, others in its place (failover.ts). Rejects with the last failure
   * as `Provider.answer` does, or with `signal.reason`.
   */
  answer(
    choice: ModelChoice,
    request: ModelRequest,
    sink: AnswerSink,
    signal: AbortSignal,
  ): Promise<ModelAnswer>;
  /** How the deployments of the catalogue stand. */
  deployments(): DeploymentState[];
  /** What the operator changed of them, by name; of those that are not named, nothing. Unknown names are given back. */
  adjust(adjustments: Readonly<Record<string, DeploymentAdjustment>>): string[];
}

export interface ModelsOptions {
  /** Those that have an account in the environment, by their names. At least one, unless there is `providerOf`. */
  providers: readonly Provider[];
  /** Whom to ask at a deployment. Default: the provider of that name. */
  providerOf?: (deployment: Deployment) => Provider | undefined;
  catalog: Catalog;
  /** May be a model that the catalogue does not have. */
  defaultModel?: string | undefined;
  timeouts?: Partial<ProviderTimeouts>;
  failover?: Partial<FailoverPolicy>;
  /** Default: those that no other process knows of. */
  circuits?: Circuits;
  /** Tells the circuits of one deployment with different accounts apart; reveals nothing of them. */
  accountOf?: (deployment: Deployment) => string;
}

const NAMES_IN_ERRORS = 10;
/** How many models outside the catalogue are remembered; callers name them. */
const MAX_PASSED_THROUGH = 256;

/** Throws when the default model has no configured provider. */
export function createModels(options: ModelsOptions): Models {
  const { catalog, circuits = createLocalCircuits() } = options;
  const providers = new Map(options.providers.map((provider) => [provider.name, provider]));
  const { providerOf = ({ provider }: Deployment) => providers.get(provider) } = options;
  const parts = {
    providerOf,
    circuits,
    accountOf: options.accountOf,
    timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
    priceVersion: catalog.priceVersion,
  };
  /** What callers name themselves is no matter between processes. */
  const passThroughParts = { ...parts, circuits: createLocalCircuits() };
  const passedThrough = new Map<string, ModelChoice>();
  const choices = new Map<string, ModelChoice>();
  for (const entry of withDemo(catalog.models)) {
    const choice = createChoice(entry, parts);
    if (choice !== undefined) choices.set(entry.model, choice);
  }
  const defaultChoice = findDefault();
  const infos = [defaultChoice, ...[...choices.values()].filter((it) => it !== defaultChoice)].map(
    (choice) => describe(choice, choice === defaultChoice),
  );
  const failover = createFailover({
    policy: { ...DEFAULT_FAILOVER, ...options.failover },
    fallbacksOf(route, request, needsLarger) {
      const choice = choices.get(route.model);
      if (choice === undefined) return [];
      return fallbackRoutes(choice, request, needsLarger, (name) => choices.get(name));
    },
  });

  /** A model of which nothing is known but who serves it. */
  function passThrough(name: string): ModelChoice | undefined {
    const slash = name.indexOf("/");
    const provider = name.slice(0, slash);
    const upstream = name.slice(slash + 1);
    if (slash < 1 || upstream === "" || !providers.has(provider)) return undefined;
    const known = choices.get(upstream);
    if (known?.provider === provider) return known;
    const passed = passedThrough.get(name);
    if (passed !== undefined) return passed;
    const entry = { model: name, deployments: [{ provider, model: upstream, name }] };
    const choice = createChoice(entry, passThroughParts);
    if (choice === undefined) return undefined;
    passedThrough.set(name, choice);
    if (passedThrough.size > MAX_PASSED_THROUGH) {
      for (const oldest of passedThrough.keys()) {
        passedThrough.delete(oldest);
        break;
      }
    }
    return choice;
  }

  function findDefault(): ModelChoice {
    const name = options.defaultModel ?? catalog.default;
    if (name === undefined) {
      const first = choices.values().next().value;
      if (first === undefined) throw new Error("no model has a configured provider");
      return first;
    }
    const known = choices.get(name) ?? passThrough(name);
    if (known !== undefined) return known;
    const provider = name.startsWith("claude") ? "anthropic" : "openai";
    const choice = name.includes("/")
      ? undefined
      : createChoice({ model: name, deployments: [{ provider, model: name }] }, parts);
    if (choice === undefined) {
      throw new Error(
        `the default model ${name} has no configured provider (configured: ${[...providers.keys()].join(", ")}): give its provider a key, or set DEFAULT_MODEL to another model`,
      );
    }
    choices.set(name, choice);
    return choice;
  }

  function* liveDeployments() {
    for (const { route } of choices.values()) yield* route.deployments;
  }

  return {
    resolve(name) {
      if (name === undefined || name === "") return defaultChoice;
      const choice = choices.get(name) ?? passThrough(name);
      if (choice === undefined) throw unknownModel(name, infos);
      return choice;
    },
    find: (name) => choices.get(name) ?? passThrough(name),
    list: () => infos,
    check({ entry, route }, request) {
      checkCapabilities(entry, request);
      const [first] = route.deployments;
      if (route.isMixed && route.deployments.some((it) => canTake(it, request))) return;
      first?.provider.check(first.upstream(request));
    },
    answer: ({ route }, request, sink, signal) => failover(route, request, sink, signal),
    deployments: () => Array.from(liveDeployments(), (deployment) => deployment.state()),
    adjust(adjustments) {
      const unknown = new Set(Object.keys(adjustments));
      for (const deployment of liveDeployments()) {
        const { deployment: name } = deployment.answerer;
        deployment.adjust(adjustments[name]);
        unknown.delete(name);
      }
      return [...unknown];
    },
  };
}

/** Every catalogue has the demo model; it is listed only where its provider is there. */
function withDemo(models: readonly CatalogModel[]): readonly CatalogModel[] {
  const named = models.some(({ model }) => model === DEMO_MODEL.model);
  return named ? models : [...models, DEMO_MODEL];
}

function describe(choice: ModelChoice, isDefault: boolean): ModelInfo {
  const { entry } = choice;
  return {
    model: choice.model,
    provider: choice.provider,
    default: isDefault,
    contextTokens: entry.contextTokens ?? 0,
    maxOutputTokens: entry.maxOutputTokens ?? 0,
    images: entry.images ?? false,
    tools: entry.tools ?? false,
    jsonSchema: entry.jsonSchema ?? false,
    reasoning: entry.reasoning ?? false,
    price: entry.price,
  };
}

function unknownModel(name: string, infos: readonly ModelInfo[]) {
  const names = infos.slice(0, NAMES_IN_ERRORS).map((info) => info.model);
  const more = infos.length - names.length;
  return invalidField(
    "model",
    `${JSON.stringify(name.slice(0, 100))} is not known; one of ${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`,
  );
}
