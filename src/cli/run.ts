import { parseArgs } from "node:util";
import type { Environment } from "../config.ts";
import { readVersion } from "../version.ts";
import { auditCommands } from "./audit.ts";
import { commonOptions } from "./cli-options.ts";
import type { Command, Given } from "./command.ts";
import { describeFailure, exitCodes } from "./failure.ts";
import { commandHelp, overview } from "./help.ts";
import { keyCommands } from "./keys.ts";
import { messageCommands } from "./messages.ts";
import { migrateCommand } from "./migrate.ts";
import { connectOperator, type Operator } from "./operator.ts";
import { createOutput, type TextSink } from "./output.ts";
import { settingCommands } from "./settings.ts";
import { UsageError } from "./usage-error.ts";
import { userCommands } from "./users.ts";

const commands: readonly Command[] = [
  ...userCommands,
  ...keyCommands,
  ...auditCommands,
  ...settingCommands,
  ...messageCommands,
  migrateCommand,
];

/** What a run of the command line works with. */
export interface CliParts {
  args: readonly string[];
  environment: Environment;
  out: TextSink;
  err: TextSink;
  readInput(): Promise<string>;
}

/** Does what the arguments say. Gives the exit code. */
export async function runCli(parts: CliParts): Promise<number> {
  const { args, out, err } = parts;
  try {
    return await dispatch(parts);
  } catch (error) {
    const { text, exitCode } = describeFailure(error);
    if (args.includes("--json")) out.write(`${JSON.stringify({ error: text })}\n`);
    err.write(`${text}\n`);
    return exitCode;
  }
}

async function dispatch(parts: CliParts): Promise<number> {
  const { args, environment, out, err, readInput } = parts;
  const [first] = args;
  if (first === undefined) {
    err.write(`${overview(commands)}\n`);
    return exitCodes.usage;
  }
  if (first === "version" || first === "--version") {
    out.write(`${readVersion()}\n`);
    return exitCodes.done;
  }
  if (first === "help" || first === "--help" || first === "-h") {
    const named = args.length > 1 ? findCommand(args.slice(1)) : undefined;
    out.write(`${named === undefined ? overview(commands) : commandHelp(named)}\n`);
    return exitCodes.done;
  }
  const command = findCommand(args);
  const { given, isJson, isHelp } = parse(command, args);
  const output = createOutput(isJson, out, err);
  if (isHelp) {
    output.line(commandHelp(command));
    return exitCodes.done;
  }
  checkPositionals(command, given.positionals);
  let operator: Operator | undefined;
  try {
    return await command.run({
      given,
      environment,
      output,
      readInput,
      async connect() {
        operator ??= await connectOperator(environment, given);
        return operator;
      },
    });
  } finally {
    await operator?.close();
  }
}

function findCommand(args: readonly string[]): Command {
  const found = commands.find(({ name }) =>
    name.split(" ").every((word, index) => args[index] === word),
  );
  if (found !== undefined) return found;
  const group = commands.filter(({ name }) => name.startsWith(`${args[0]} `));
  if (group.length === 0) throw new UsageError(`there is no command "${args[0]}"; see tribe help`);
  const names = group.map(({ name }) => name).join(", ");
  throw new UsageError(`"${args.slice(0, 2).join(" ")}" is no command; there are ${names}`);
}

function parse(command: Command, args: readonly string[]) {
  const options = { ...command.options, ...commonOptions };
  const rest = args.slice(command.name.split(" ").length);
  let parsed;
  try {
    parsed = parseArgs({ args: rest, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message} (tribe ${command.name} --help)`);
  }
  const { values, positionals } = parsed as {
    values: Record<string, string | boolean | string[] | undefined>;
    positionals: string[];
  };
  const given: Given = {
    text(name) {
      const value = values[name];
      return typeof value === "string" ? value : undefined;
    },
    texts(name) {
      const value = values[name];
      return Array.isArray(value) ? value : [];
    },
    has: (name) => values[name] === true,
    positionals,
  };
  return { given, isJson: given.has("json"), isHelp: given.has("help") };
}

function checkPositionals(command: Command, positionals: readonly string[]): void {
  const { positionals: expected = [], variable } = command;
  if (variable === "any") return;
  const isEnough = positionals.length >= expected.length;
  if (!isEnough) {
    throw new UsageError(
      `${command.name} needs ${expected.join(" ")} (tribe ${command.name} --help)`,
    );
  }
  if (variable === undefined && positionals.length > expected.length) {
    throw new UsageError(`${command.name} does not take "${positionals[expected.length]}"`);
  }
}
