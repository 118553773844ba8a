/** Reads the deployments of a model in MODELS_FILE. */
import type { Deployment, DeploymentAccount } from "./catalog.ts";
import { isWhole, readArray, readObject, readText, type Fault, type Json } from "./json-fields.ts";

/**
 * The value of an environment variable, or of the file that its `NAME_FILE`
 * names. Undefined: there is none. Throws an Error when the file cannot be read.
 */
export type ReadSecret = (name: string) => string | undefined;

const KEYS = [
  "provider",
  "model",
  "name",
  "keyFrom",
  "plainTextKey",
  "baseUrl",
  "weight",
  "order",
] as const;
const PROVIDERS = ["openai", "anthropic", "demo"];
const NAME = /^[\w.:/@-]{1,100}$/;
const VARIABLE = /^[A-Za-z_]\w{0,127}$/;

/** At least one; every fault is noted with its path, and no key is ever repeated. */
export function readDeployments(
  value: unknown,
  path: string,
  fault: Fault,
  readSecret: ReadSecret,
): Deployment[] {
  const items = readArray(value, path, fault);
  if (Array.isArray(value) && items.length === 0) fault(path, "must name at least one");
  return items.map((item, index) => readDeployment(item, `${path}[${index}]`, fault, readSecret));
}

function readDeployment(
  value: unknown,
  path: string,
  fault: Fault,
  readSecret: ReadSecret,
): Deployment {
  const json = readObject(value, path, KEYS, fault);
  const provider = readText(json["provider"], `${path}.provider`, fault);
  if (provider !== "" && !PROVIDERS.includes(provider)) {
    fault(`${path}.provider`, `must be one of ${PROVIDERS.join(", ")}`);
  }
  const deployment: Deployment = {
    provider,
    model: readText(json["model"], `${path}.model`, fault),
  };
  const name = json["name"];
  if (typeof name === "string" && NAME.test(name)) deployment.name = name;
  else if (name !== undefined) {
    fault(`${path}.name`, "must be 1 to 100 letters, digits or any of _ . : / @ -");
  }
  const weight = json["weight"];
  if (isWhole(weight) && weight >= 1 && weight <= 1000) deployment.weight = weight;
  else if (weight !== undefined) fault(`${path}.weight`, "must be a whole number from 1 to 1000");
  const order = json["order"];
  if (isWhole(order) && order >= 0 && order <= 1000) deployment.order = order;
  else if (order !== undefined) fault(`${path}.order`, "must be a whole number from 0 to 1000");
  const account = readAccount(json, path, fault, readSecret);
  if (account !== undefined && provider === "demo") {
    fault(path, "the demo model takes neither a key nor a baseUrl");
  } else if (account !== undefined) deployment.account = account;
  return deployment;
}

function readAccount(
  json: Json,
  path: string,
  fault: Fault,
  readSecret: ReadSecret,
): DeploymentAccount | undefined {
  const { keyFrom, plainTextKey, baseUrl } = json;
  if (keyFrom === undefined && plainTextKey === undefined && baseUrl === undefined) {
    return undefined;
  }
  const account: DeploymentAccount = {};
  if (keyFrom !== undefined && plainTextKey !== undefined) {
    fault(`${path}.plainTextKey`, "and keyFrom are both there: give one of them");
  } else if (keyFrom !== undefined) {
    const apiKey = readKey(keyFrom, `${path}.keyFrom`, fault, readSecret);
    if (apiKey !== undefined) account.apiKey = apiKey;
  } else if (plainTextKey !== undefined) {
    account.apiKey = readText(plainTextKey, `${path}.plainTextKey`, fault);
  }
  if (baseUrl !== undefined) {
    const url = typeof baseUrl === "string" ? URL.parse(baseUrl) : null;
    if (url === null || !/^https?:$/.test(url.protocol))
      fault(`${path}.baseUrl`, "must be a URL that begins with https:// or http://");
    else if (url.username !== "") fault(`${path}.baseUrl`, "must have no user and password in it");
    else account.baseUrl = String(baseUrl);
  }
  return account;
}

function readKey(
  keyFrom: unknown,
  path: string,
  fault: Fault,
  readSecret: ReadSecret,
): string | undefined {
  if (typeof keyFrom !== "string" || !VARIABLE.test(keyFrom)) {
    fault(path, "must be the name of an environment variable, not the key itself");
    return undefined;
  }
  try {
    const key = readSecret(keyFrom);
    if (key === undefined) fault(path, `neither ${keyFrom} nor ${keyFrom}_FILE is set`);
    return key;
  } catch (error) {
    fault(path, (error as Error).message);
    return undefined;
  }
}
