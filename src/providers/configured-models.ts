import { readFileSync } from "node:fs";
import type { Config } from "../config.ts";
import { createAnthropicProvider } from "./anthropic/anthropic-provider.ts";
import { BUILT_IN_CATALOG } from "./built-in-catalog.ts";
import type { Catalog } from "./catalog.ts";
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

/**
 * Connects the providers that have an account. Without any, and whenever it is
 * asked for by DEFAULT_MODEL, there is the demo model.
 */
export function createConfiguredModels(config: Config["providers"]): ConfiguredModels {
  const closable: ClosableProvider[] = [];
  // A server of one's own may need no key; the SDKs insist on one.
  if (config.openai) {
    const { apiKey = "none", baseUrl } = config.openai;
    closable.push(createOpenAIProvider({ apiKey, baseUrl }));
  }
  if (config.anthropic) {
    const { apiKey = "none", baseUrl } = config.anthropic;
    closable.push(createAnthropicProvider({ apiKey, baseUrl }));
  }
  const demo = closable.length === 0 || config.defaultModel === "demo";
  const providers: Provider[] = demo ? [...closable, createDemoProvider()] : closable;
  const models = createModels({
    providers,
    catalog: config.modelsFile === undefined ? BUILT_IN_CATALOG : readModelsFile(config.modelsFile),
    defaultModel: config.defaultModel,
  });
  return {
    ...models,
    async close() {
      await Promise.all(closable.map((provider) => provider.close()));
    },
  };
}

/** The operator's own catalogue. Throws an Error that names the file or lists the faults in it. */
function readModelsFile(path: string): Catalog {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`MODELS_FILE ${path} cannot be read`, { cause: error });
  }
  return parseModelsFile(text);
}
