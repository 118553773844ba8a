import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { ConfigKeyName } from "./config-keys.ts";

/** The environment, as `process.env` has it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Host and port of a server. */
export interface NetworkAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads typed values from the environment and collects every fault on the way,
 * so that one message can list them all. A faulty value reads as unset.
 */
export interface ConfigReader {
  /** The value, from KEY or from the file that KEY_FILE names. Empty counts as unset. */
  text(name: ConfigKeyName): string | undefined;
  /** One of the given words. */
  choice<T extends string>(name: ConfigKeyName, choices: readonly T[]): T | undefined;
  /** A whole number within the bounds. */
  integer(name: ConfigKeyName, minimum: number, maximum: number): number | undefined;
  /** A URL of one of the schemes (without colon). */
  url(name: ConfigKeyName, schemes: readonly string[]): string | undefined;
  /** Comma-separated URLs of one of the schemes. */
  urls(name: ConfigKeyName, schemes: readonly string[]): readonly string[];
  /** Comma-separated `host:port`, `[IPv6]:port` or `host`. */
  addresses(name: ConfigKeyName, defaultPort: number): readonly NetworkAddress[];
  /** Comma-separated IP addresses and `address/prefix`. */
  networks(name: ConfigKeyName): readonly string[];
  /** Notes that something about a key is wrong. Never repeats a value: it may be a secret. */
  fault(name: ConfigKeyName, description: string): void;
  readonly faults: readonly string[];
}

/**
 * The value of any variable, or of the file that `<name>_FILE` names; undefined
 * when neither is set. Throws an Error when both are, or the file cannot be read.
 */
export function readSecret(environment: Environment, name: string): string | undefined {
  const direct = environment[name]?.trim() || undefined;
  const file = environment[`${name}_FILE`]?.trim();
  if (!file) return direct;
  if (direct) throw new Error(`${name} and ${name}_FILE are both set: set one of them`);
  try {
    return readFileSync(file, "utf8").trim() || undefined;
  } catch (error) {
    throw new Error(`${name}_FILE cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** A reader over this environment. */
export function createConfigReader(environment: Environment): ConfigReader {
  const faults: string[] = [];
  const texts = new Map<ConfigKeyName, string | undefined>();

  function fault(name: ConfigKeyName, description: string) {
    faults.push(`${name} ${description}`);
  }

  function readText(name: ConfigKeyName): string | undefined {
    const direct = environment[name]?.trim();
    const file = environment[`${name}_FILE`]?.trim();
    if (!file) return direct || undefined;
    if (direct) {
      fault(name, `and ${name}_FILE are both set: set one of them`);
      return undefined;
    }
    let content: string;
    try {
      content = readFileSync(file, "utf8").trim();
    } catch (error) {
      faults.push(`${name}_FILE cannot be read: ${(error as Error).message}`);
      return undefined;
    }
    if (content === "") faults.push(`${name}_FILE names an empty file: ${file}`);
    return content || undefined;
  }

  function text(name: ConfigKeyName) {
    if (!texts.has(name)) texts.set(name, readText(name));
    return texts.get(name);
  }

  function isUrl(value: string, schemes: readonly string[]): boolean {
    const url = URL.parse(value);
    return url !== null && schemes.includes(url.protocol.slice(0, -1)) && url.hostname !== "";
  }

  function list(name: ConfigKeyName): string[] {
    return (text(name)?.split(",") ?? []).map((item) => item.trim()).filter((item) => item !== "");
  }

  return {
    text,
    fault,
    faults,
    choice<T extends string>(name: ConfigKeyName, choices: readonly T[]) {
      const value = text(name);
      const found = choices.find((choice) => choice === value);
      if (value !== undefined && found === undefined)
        fault(name, `is "${value}", but must be one of ${choices.join(", ")}`);
      return found;
    },
    integer(name, minimum, maximum) {
      const value = text(name);
      if (value === undefined) return undefined;
      const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
      if (number >= minimum && number <= maximum) return number;
      fault(name, `is "${value}", but must be a whole number from ${minimum} to ${maximum}`);
      return undefined;
    },
    url(name, schemes) {
      const value = text(name);
      if (value === undefined || isUrl(value, schemes)) return value;
      fault(name, `must be a URL that begins with ${schemes.join(":// or ")}://`);
      return undefined;
    },
    urls(name, schemes) {
      const values = list(name);
      if (values.every((value) => isUrl(value, schemes))) return values;
      fault(name, `must be comma-separated URLs that begin with ${schemes.join(":// or ")}://`);
      return [];
    },
    addresses(name, defaultPort) {
      const parsed = list(name).map((item) => parseAddress(item, defaultPort));
      const addresses = parsed.filter((address) => address !== undefined);
      if (addresses.length === parsed.length) return addresses;
      fault(
        name,
        "must be comma-separated host:port pairs, for example 10.0.0.1:6379,10.0.0.2:6379",
      );
      return [];
    },
    networks(name) {
      const values = list(name);
      if (values.every(isNetwork)) return values;
      fault(
        name,
        "must be comma-separated IP addresses or address/prefix, for example 10.0.0.1,172.16.0.0/12",
      );
      return [];
    },
  };
}

function isNetwork(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return (
    prefix === undefined ||
    (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128))
  );
}

function parseAddress(text: string, defaultPort: number): NetworkAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) return undefined;
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  return port >= 1 && port <= 65_535 ? { host, port } : undefined;
}
