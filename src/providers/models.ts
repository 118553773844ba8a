/** Which models there are, what is known of them, and how to ask one. */
import { invalidField } from "../errors.ts";
import { DEMO_MODEL } from "./built-in-catalog.ts";
import type { Catalog, CatalogModel, Deployment, Price } from "./catalog.ts";
import { checkCapabilities } from "./check-capabilities.ts";
import type { Answerer, AnswerSink, ModelAnswer } from "./model-answer.ts";
import type { ModelRequest, Provider } from "./provider.ts";
import { answerInTime, DEFAULT_TIMEOUTS, type ProviderTimeouts } from "./timeouts.ts";

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
  /** Asks the model, streaming, within the time limits. Rejects as `Provider.answer` does. */
  answer(
    choice: ModelChoice,
    request: ModelRequest,
    sink: AnswerSink,
    signal: AbortSignal,
  ): Promise<ModelAnswer>;
}

export interface ModelsOptions {
  /** Those that are configured. At least one. */
  providers: readonly Provider[];
  catalog: Catalog;
  /** May be a model that the catalogue does not have. */
  defaultModel?: string | undefined;
  timeouts?: Partial<ProviderTimeouts>;
}

const NAMES_IN_ERRORS = 10;

/** Throws when the default model has no configured provider. */
export function createModels(options: ModelsOptions): Models {
  const { catalog } = options;
  const timeouts: ProviderTimeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
  const providers = new Map(options.providers.map((provider) => [provider.name, provider]));
  const choices = new Map<string, ModelChoice>();
  for (const entry of withDemo(catalog.models)) {
    const deployment = entry.deployments.find(({ provider }) => providers.has(provider));
    if (deployment !== undefined) choices.set(entry.model, choose(entry, deployment));
  }
  const defaultChoice = findDefault();
  const infos = [defaultChoice, ...[...choices.values()].filter((it) => it !== defaultChoice)].map(
    (choice) => describe(choice, choice === defaultChoice),
  );

  function choose(entry: CatalogModel, deployment: Deployment): ModelChoice {
    return {
      model: entry.model,
      provider: deployment.provider,
      deployment: `${entry.model}/${deployment.provider}`,
      upstreamModel: deployment.model,
      contextTokens: entry.contextTokens,
      maxOutputTokens: entry.maxOutputTokens,
      price: entry.price,
      priceVersion: entry.priceVersion ?? catalog.priceVersion,
      entry,
    };
  }

  /** A model of which nothing is known but who serves it. */
  function passThrough(name: string): ModelChoice | undefined {
    const slash = name.indexOf("/");
    const provider = name.slice(0, slash);
    const upstream = name.slice(slash + 1);
    if (slash < 1 || upstream === "" || !providers.has(provider)) return undefined;
    const known = choices.get(upstream);
    if (known?.provider === provider) return known;
    const deployment = { provider, model: upstream };
    return choose({ model: name, deployments: [deployment] }, deployment);
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
    if (!providers.has(provider) || name.includes("/")) {
      throw new Error(
        `the default model ${name} has no configured provider (configured: ${[...providers.keys()].join(", ")})`,
      );
    }
    const deployment = { provider, model: name };
    const choice = choose({ model: name, deployments: [deployment] }, deployment);
    choices.set(name, choice);
    return choice;
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
    check(choice, request) {
      checkCapabilities(choice.entry, request);
      providers.get(choice.provider)?.check(upstreamRequest(choice, request));
    },
    async answer(choice, request, sink, signal) {
      const provider = providers.get(choice.provider);
      if (provider === undefined) throw new TypeError(`${choice.provider} is not configured`);
      const { firstTokenMs = timeouts.firstTokenMs } = choice.entry;
      sink.asked?.(choice);
      const result = await answerInTime(
        provider,
        upstreamRequest(choice, request),
        sink,
        signal,
        firstTokenMs > timeouts.firstTokenMs ? { ...timeouts, firstTokenMs } : timeouts,
      );
      const { model, deployment, price, priceVersion } = choice;
      return {
        model,
        provider: provider.name,
        deployment,
        price,
        priceVersion,
        finishReason: result.finishReason,
        usage: result.usage,
        upstreamModel: result.model,
      };
    },
  };
}

/** Every catalogue has the demo model; it is listed only where its provider is there. */
function withDemo(models: readonly CatalogModel[]): readonly CatalogModel[] {
  const named = models.some(({ model }) => model === DEMO_MODEL.model);
  return named ? models : [...models, DEMO_MODEL];
}

function upstreamRequest(choice: ModelChoice, request: ModelRequest): ModelRequest {
  const model = choice.upstreamModel;
  // The Messages API must be told a limit, and the catalogue knows the model's own.
  const maxOutputTokens =
    request.maxOutputTokens ??
    (choice.provider === "anthropic" ? choice.maxOutputTokens : undefined);
  if (request.model === model && request.maxOutputTokens === maxOutputTokens) return request;
  return maxOutputTokens === undefined
    ? { ...request, model }
    : { ...request, model, maxOutputTokens };
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
