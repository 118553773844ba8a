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
 * README.md shows deployments with keys, weights and fallbacks. Only `priceVersion`, `model` and `deployments` are required. Prices are
 * millionths of a US dollar for a million tokens; the cache's are those of the
 * input unless they are given.
 */
import type { Catalog, CatalogModel, LongInputPrice, Price } from "./catalog.ts";
import { readDeployments, type ReadSecret } from "./deployments-json.ts";
import { isWhole, readArray, readObject, readText, type Fault, type Json } from "./json-fields.ts";
import { deploymentName } from "./model-choice.ts";

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
  "idleMs",
  "totalMs",
  "fallbacks",
  "hedgeAfterMs",
];
const NUMBERS = [
  "contextTokens",
  "maxOutputTokens",
  "firstTokenMs",
  "idleMs",
  "totalMs",
  "hedgeAfterMs",
] as const;
const FLAGS = ["images", "tools", "jsonSchema", "reasoning"] as const;
const PRICE_KEYS = ["inputMicros", "cachedInputMicros", "cacheWriteMicros", "outputMicros"];

/**
 * Parses the text of the file. `readSecret` looks up the keys that it refers to.
 * Throws one Error that lists every fault.
 */
export function parseModelsFile(text: string, readSecret: ReadSecret = () => undefined): Catalog {
  const faults: string[] = [];
  const fault: Fault = (path, description) => faults.push(`${path || "the file"}: ${description}`);
  const catalog = readCatalog(parseJson(text, fault), fault, readSecret);
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

function readCatalog(value: unknown, fault: Fault, readSecret: ReadSecret): Catalog {
  const json = readObject(value, "", CATALOG_KEYS, fault);
  const models: CatalogModel[] = [];
  for (const [index, item] of readArray(json["models"], "models", fault).entries()) {
    const model = readModel(item, `models[${index}]`, fault, readSecret);
    if (model.model !== "" && models.some((other) => other.model === model.model)) {
      fault(`models[${index}].model`, `${JSON.stringify(model.model)} is there twice`);
    }
    models.push(model);
  }
  checkNames(models, fault);
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

/** Fallbacks must be other models of the file, and every deployment must have a name of its own. */
function checkNames(models: readonly CatalogModel[], fault: Fault): void {
  const names = new Set(models.map(({ model }) => model));
  const deployments = new Set<string>();
  for (const [index, model] of models.entries()) {
    const path = `models[${index}]`;
    for (const [place, fallback] of (model.fallbacks ?? []).entries()) {
      if (names.has(fallback) && fallback !== model.model) continue;
      const quoted = JSON.stringify(fallback);
      fault(`${path}.fallbacks[${place}]`, `must be another model of this file, not ${quoted}`);
    }
    for (const [place, { name }] of model.deployments.entries()) {
      const unique = name ?? deploymentName(model, place);
      if (deployments.has(unique)) {
        fault(`${path}.deployments[${place}].name`, `${JSON.stringify(unique)} is there twice`);
      }
      deployments.add(unique);
    }
  }
}

function readModel(
  value: unknown,
  path: string,
  fault: Fault,
  readSecret: ReadSecret,
): CatalogModel {
  const json = readObject(value, path, MODEL_KEYS, fault);
  const model: CatalogModel = {
    model: readText(json["model"], `${path}.model`, fault),
    deployments: readDeployments(json["deployments"], `${path}.deployments`, fault, readSecret),
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
  if (json["fallbacks"] !== undefined) {
    model.fallbacks = readArray(json["fallbacks"], `${path}.fallbacks`, fault).map((name, index) =>
      readText(name, `${path}.fallbacks[${index}]`, fault),
    );
  }
  if (json["priceVersion"] !== undefined) {
    model.priceVersion = readText(json["priceVersion"], `${path}.priceVersion`, fault);
  }
  if (json["price"] !== undefined) {
    model.price = readPrice(json["price"], `${path}.price`, fault);
  }
  return model;
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
