import { commonOptions } from "./cli-options.ts";
import type { Command, CommandOption } from "./command.ts";

/** How the command line is used, with its commands. */
export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => usageOf(command).length));
  return [
    "tribe: the chat backend, and its operators' command line.",
    "",
    `  ${"start".padEnd(width)}  Run the service (npm start).`,
    ...commands.map((command) => `  ${usageOf(command).padEnd(width)}  ${command.summary}`),
    `  ${"help [COMMAND]".padEnd(width)}  Say what a command does.`,
    `  ${"version".padEnd(width)}  Print the version.`,
    "",
    "Commands ask the service at --server or TRIBE_SERVER with the key in TRIBE_API_KEY; without a",
    "server they work on the database of DATABASE_URL, as on first set-up. They end with exit code",
    "0, with 1 when they failed, with 2 when they were not understood.",
  ].join("\n");
}

/** What one command does, with its options. */
export function commandHelp(command: Command): string {
  const options: [string, CommandOption][] = Object.entries({
    ...command.options,
    ...commonOptions,
  });
  const titles = options.map(([name, { value, short }]) =>
    [
      short === undefined ? "" : `-${short}, `,
      `--${name}`,
      value === undefined ? "" : ` ${value}`,
    ].join(""),
  );
  const width = Math.max(...titles.map((title) => title.length));
  return [
    `tribe ${usageOf(command)} [options]`,
    "",
    command.summary,
    "",
    ...options.map(([, { help }], index) => `  ${titles[index]?.padEnd(width)}  ${help}`),
  ].join("\n");
}

function usageOf({ name, positionals = [], variable }: Command): string {
  const last = variable === undefined ? "" : "…";
  const texts = positionals.map((positional) => `${positional}${last}`);
  return [name, ...texts.map((text) => (variable === "any" ? `[${text}]` : text))].join(" ");
}
