import type { ParseArgsOptionDescriptor } from "node:util";
import type { Environment } from "../config.ts";
import type { Operator } from "./operator.ts";
import type { Output } from "./output.ts";
import { UsageError } from "./usage-error.ts";

/** An option as parseArgs takes it, and what help says of it. */
export interface CommandOption extends ParseArgsOptionDescriptor {
  /** Stands for the value in help, for example `EMAIL`. None: the option is a switch. */
  readonly value?: string;
  readonly help: string;
}

/** What was given after the name of a command. */
export interface Given {
  /** The text of an option; undefined when it was not given. */
  text(name: string): string | undefined;
  /** All texts of an option that may be repeated. */
  texts(name: string): readonly string[];
  /** Whether a switch was given. */
  has(name: string): boolean;
  /** Arguments without a name. */
  readonly positionals: readonly string[];
}

/** What a command works with. */
export interface CommandContext {
  readonly given: Given;
  readonly environment: Environment;
  readonly output: Output;
  /** Reads standard input to its end, for secrets that must not stand in a command line. */
  readInput(): Promise<string>;
  /** Reaches the service, or the database where there is none. */
  connect(): Promise<Operator>;
}

/** One thing that an operator can ask for. */
export interface Command {
  /** Its words, for example `users create`. */
  readonly name: string;
  /** Names of its arguments for help, for example `ID`; as many must be given. */
  readonly positionals?: readonly string[];
  /** Whether the last argument may be repeated, or left out if that is 0. */
  readonly variable?: "some" | "any";
  readonly summary: string;
  readonly options?: Readonly<Record<string, CommandOption>>;
  /** Gives the exit code. Throws UsageError, OperatorError, ConnectError or DomainError. */
  run(context: CommandContext): Promise<number>;
}

/** Reads a whole number that an option gives. */
export function wholeNumber(given: Given, name: string, minimum: number, maximum: number) {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= minimum && number <= maximum) return number;
  throw new UsageError(
    `--${name} is "${text}", but must be a whole number from ${minimum} to ${maximum}`,
  );
}

const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** Reads a length of time as `90d`, `24h`, `15m` or `30s`, in seconds. */
export function durationSeconds(given: Given, name: string): number | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  if (match === null) {
    throw new UsageError(`--${name} is "${text}", but must be a time such as 90d, 24h, 15m or 0s`);
  }
  return Number(match[1]) * unitSeconds[match[2] as keyof typeof unitSeconds];
}

/** An argument that must be an id. */
export function requireId(id: string | undefined, what: string): string {
  if (id !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) return id;
  throw new UsageError(`"${id ?? ""}" is no ${what}, which looks like 01980f6e-….`);
}
