/**
 * Reads the operator's own catalogue, `MODELS_FILE`:
 *
 *   { "priceVersion": "2026-11", "default": "fast",
 *     "models": [
 *       { "model": "fast",
 *         "deployments": [{ "provider": "openai", "model": "gpt-6-luna" }],
 *         "contextTokens": 1050000, "maxOutputTokens": 128000,
 *         "images": true, "tools": true, "jsonSchema": true, "reasoning": true,
 *         "price": { "inputMicros": 100000, "cachedInputMicros": 10000,
 *                    "cacheWriteMicros": 125000, "outputMicros": 500000 } } ] }
 *
 * Only `priceVersion`, `model` and `deployments` are required. Prices are
 * millionths of a US dollar for a million tokens; the cache's are those of the
 * input unless they are given.
 */
import type { Catalog, CatalogModel, Deployment, LongInputPrice, Price } from "./catalog.ts";

type Json = Readonly<Record<string, unknown>>;
/** Notes a fault at a path. */
type Fault = (path: string, description: string) => void;

const CATALOG_KEYS = ["priceVersion", "default", "models"];
const MODEL_KEYS = [
  "model",
  "deployments",
  "contextTokens",
  "maxOutputTokens",
  "images",
  "tools",
  "jsonSchema",
  "reasoning",
  "price",
  "priceVersion",
  "firstTokenMs",
];
const NUMBERS = ["contextTokens", "maxOutputTokens", "firstTokenMs"] as const;
const FLAGS = ["images", "tools", "jsonSchema", "reasoning"] as const;
const PRICE_KEYS = ["inputMicros", "cachedInputMicros", "cacheWriteMicros", "outputMicros"];
const PROVIDERS = ["openai", "anthropic", "demo"];

/** Parses the text of the file. Throws one Error that lists every fault. */
export function parseModelsFile(text: string): Catalog {
  const faults: string[] = [];
  const fault: Fault = (path, description) => faults.push(`${path || "the file"}: ${description}`);
  const catalog = readCatalog(parseJson(text, fault), fault);
  if (faults.length > 0) throw new Error(`MODELS_FILE is wrong:\n  ${faults.join("\n  ")}`);
  return catalog;
}

function parseJson(text: string, fault: Fault): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    fault("", `must be JSON (${(error as Error).message})`);
    return { priceVersion: "none", models: [] };
  }
}

function readCatalog(value: unknown, fault: Fault): Catalog {
  const json = readObject(value, "", CATALOG_KEYS, fault);
  const models: CatalogModel[] = [];
  for (const [index, item] of readArray(json["models"], "models", fault).entries()) {
    const model = readModel(item, `models[${index}]`, fault);
    if (model.model !== "" && models.some((other) => other.model === model.model)) {
      fault(`models[${index}].model`, `${JSON.stringify(model.model)} is there twice`);
    }
    models.push(model);
  }
  const name = json["default"];
  if (name !== undefined && !models.some((model) => model.model === name)) {
    fault("default", `must be one of the models, not ${JSON.stringify(name)}`);
  }
  return {
    priceVersion: readText(json["priceVersion"], "priceVersion", fault),
    models,
    ...(typeof name === "string" && { default: name }),
  };
}

function readModel(value: unknown, path: string, fault: Fault): CatalogModel {
  const json = readObject(value, path, MODEL_KEYS, fault);
  const model: CatalogModel = {
    model: readText(json["model"], `${path}.model`, fault),
    deployments: readDeployments(json["deployments"], `${path}.deployments`, fault),
  };
  for (const key of NUMBERS) {
    const number = json[key];
    if (number === undefined) continue;
    if (isWhole(number) && number > 0) model[key] = number;
    else fault(`${path}.${key}`, "must be a whole number above 0");
  }
  for (const key of FLAGS) {
    const flag = json[key];
    if (flag === undefined) continue;
    if (typeof flag === "boolean") model[key] = flag;
    else fault(`${path}.${key}`, "must be true or false");
  }
  if (json["priceVersion"] !== undefined) {
    model.priceVersion = readText(json["priceVersion"], `${path}.priceVersion`, fault);
  }
  if (json["price"] !== undefined) {
    model.price = readPrice(json["price"], `${path}.price`, fault);
  }
  return model;
}

function readDeployments(value: unknown, path: string, fault: Fault): Deployment[] {
  const items = readArray(value, path, fault);
  if (Array.isArray(value) && items.length === 0) fault(path, "must name at least one");
  return items.map((item, index) => {
    const json = readObject(item, `${path}[${index}]`, ["provider", "model"], fault);
    const provider = readText(json["provider"], `${path}[${index}].provider`, fault);
    if (provider !== "" && !PROVIDERS.includes(provider)) {
      fault(`${path}[${index}].provider`, `must be one of ${PROVIDERS.join(", ")}`);
    }
    return { provider, model: readText(json["model"], `${path}[${index}].model`, fault) };
  });
}

function readPrice(value: unknown, path: string, fault: Fault): Price {
  const json = readObject(value, path, [...PRICE_KEYS, "longInput"], fault);
  const price: Price = readRates(json, path, fault);
  if (json["longInput"] === undefined) return price;
  const longPath = `${path}.longInput`;
  const long = readObject(json["longInput"], longPath, [...PRICE_KEYS, "aboveInputTokens"], fault);
  const above = long["aboveInputTokens"];
  if (!isWhole(above) || above < 1) {
    fault(`${longPath}.aboveInputTokens`, "must be a whole number above 0");
  }
  const longInput: LongInputPrice = {
    aboveInputTokens: Number(above),
    ...readRates(long, longPath, fault),
  };
  return { ...price, longInput };
}

function readRates(json: Json, path: string, fault: Fault): Omit<Price, "longInput"> {
  const rate = (key: string, otherwise?: bigint): bigint => {
    const number = json[key];
    if (number === undefined && otherwise !== undefined) return otherwise;
    if (isWhole(number) && number >= 0) return BigInt(number);
    fault(`${path}.${key}`, "must be a whole number of millionths of a dollar, 0 or more");
    return 0n;
  };
  const inputMicros = rate("inputMicros");
  return {
    inputMicros,
    cachedInputMicros: rate("cachedInputMicros", inputMicros),
    cacheWriteMicros: rate("cacheWriteMicros", inputMicros),
    outputMicros: rate("outputMicros"),
  };
}

function readObject(value: unknown, path: string, keys: readonly string[], fault: Fault): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    fault(path, "must be an object");
    return {};
  }
  for (const key of Object.keys(value)) {
    if (keys.includes(key)) continue;
    fault(path ? `${path}.${key}` : key, `is not known; known are ${keys.join(", ")}`);
  }
  return value as Json;
}

function readArray(value: unknown, path: string, fault: Fault): readonly unknown[] {
  if (Array.isArray(value)) return value;
  fault(path, "must be an array");
  return [];
}

function readText(value: unknown, path: string, fault: Fault): string {
  if (typeof value === "string" && value !== "") return value;
  fault(path, "must be a text that is not empty");
  return "";
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
