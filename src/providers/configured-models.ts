import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Config } from "../config.ts";
import { NO_KEY } from "./http/without-key.ts";
import type { Redis } from "../redis/redis.ts";
import { createAnthropicProvider } from "./anthropic/anthropic-provider.ts";
import { BUILT_IN_CATALOG } from "./built-in-catalog.ts";
import type { Catalog, Deployment } from "./catalog.ts";
import { createSharedCircuits } from "./circuits.store.ts";
import { createDemoProvider } from "./demo/demo-provider.ts";
import { parseModelsFile } from "./models-file.ts";
import { createModels, type Models } from "./models.ts";
import { createOpenAIProvider } from "./openai/openai-provider.ts";
import type { ClosableProvider, Provider } from "./provider.ts";

/** The models that the configuration names. */
export interface ConfiguredModels extends Models {
  /** Closes the connections to the providers. */
  close(): Promise<void>;
}

/** What the configuration says of models. */
export type ModelsConfig = Config["providers"] & Pick<Config, "production">;

/**
 * Connects the providers that have an account, in the environment or in
 * MODELS_FILE. Without any, and whenever it is asked for by DEFAULT_MODEL, there
 * is the demo model. Circuits are shared through Redis, if there is one.
 */
export function createConfiguredModels(
  config: ModelsConfig,
  redis: Redis | undefined,
): ConfiguredModels {
  const catalog = config.modelsFile === undefined ? BUILT_IN_CATALOG : readModelsFile(config);
  const accounts = createAccounts(config);
  const hasOwnAccounts = catalog.models.some(({ deployments }) =>
    deployments.some(({ account }) => account !== undefined),
  );
  if (accounts.usual.size === 0 && !hasOwnAccounts && config.production) {
    throw new Error("MODELS_FILE names no key, and there is none in the environment");
  }
  const demo =
    (accounts.usual.size === 0 && !hasOwnAccounts) || config.defaultModel === "demo"
      ? createDemoProvider()
      : undefined;
  const providers: Provider[] = [...accounts.usual.values(), ...(demo ? [demo] : [])];
  const circuits = redis && createSharedCircuits(redis);
  const models = createModels({
    providers,
    providerOf: (deployment) => (deployment.provider === "demo" ? demo : accounts.find(deployment)),
    catalog,
    defaultModel: config.defaultModel,
    ...(circuits && { circuits }),
    accountOf: accounts.fingerprint,
  });
  return {
    ...models,
    async close() {
      circuits?.close();
      await accounts.close();
    },
  };
}

const connectors = { openai: createOpenAIProvider, anthropic: createAnthropicProvider };

interface Account {
  apiKey?: string | undefined;
  baseUrl?: string | undefined;
}

/** One provider, with its connections, for each account. */
function createAccounts(config: ModelsConfig) {
  const usual = new Map<string, ClosableProvider>();
  const own = new Map<string, ClosableProvider>();
  /** Key and address that a deployment is called with. */
  function accountOf({ provider, account }: Deployment): Account {
    const known = provider === "openai" || provider === "anthropic" ? config[provider] : undefined;
    return { apiKey: (account ?? known)?.apiKey, baseUrl: account?.baseUrl ?? known?.baseUrl };
  }
  for (const name of ["openai", "anthropic"] as const) {
    const account = config[name];
    // A server of one's own may need no key; the SDKs insist on one.
    if (account === undefined) continue;
    const { apiKey = NO_KEY, baseUrl } = account;
    usual.set(name, connectors[name]({ apiKey, baseUrl }));
  }
  return {
    /** Those of the environment, by provider. */
    usual,
    /** A short hash of the account: of a key of many random bits it tells nothing. */
    fingerprint(deployment: Deployment): string {
      const { apiKey = "", baseUrl = "" } = accountOf(deployment);
      const account = JSON.stringify([deployment.provider, apiKey, baseUrl]);
      return createHash("sha256").update(account).digest("base64url").slice(0, 8);
    },
    /** Undefined: there is no account for it. */
    find(deployment: Deployment): ClosableProvider | undefined {
      const { provider, account } = deployment;
      if (account === undefined) return usual.get(provider);
      if (provider !== "openai" && provider !== "anthropic") return undefined;
      const { apiKey = NO_KEY, baseUrl } = accountOf(deployment);
      const key = JSON.stringify([provider, apiKey, baseUrl]);
      const known = own.get(key);
      if (known !== undefined) return known;
      const made = connectors[provider]({ apiKey, baseUrl });
      own.set(key, made);
      return made;
    },
    async close() {
      const all = [...usual.values(), ...own.values()];
      await Promise.all(all.map((provider) => provider.close()));
    },
  };
}

/** The operator's own catalogue. Throws an Error that names the file or lists the faults in it. */
function readModelsFile({ modelsFile = "", readSecret }: ModelsConfig): Catalog {
  let text: string;
  try {
    text = readFileSync(modelsFile, "utf8");
  } catch (error) {
    throw new Error(`MODELS_FILE ${modelsFile} cannot be read`, { cause: error });
  }
  return parseModelsFile(text, readSecret);
}
