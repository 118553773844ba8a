import type { JsonValue } from "@bufbuild/protobuf";
import { connectionOptions } from "./cli-options.ts";
import type { Command, CommandContext } from "./command.ts";
import { UsageError } from "./usage-error.ts";

/** What can be changed without a restart. */
export const settingCommands: readonly Command[] = [
  {
    name: "settings get",
    positionals: ["NAME"],
    variable: "any",
    summary: "Show settings; those that are not set have their defaults.",
    options: connectionOptions,
    run: getSettings,
  },
  {
    name: "settings set",
    positionals: ["NAME=VALUE"],
    variable: "some",
    summary:
      "Change settings, in every process within seconds. VALUE is JSON; null is the default.",
    options: connectionOptions,
    run: setSettings,
  },
];

async function getSettings({ given, output, connect }: CommandContext) {
  const { admin } = await connect();
  const { settings } = await admin.getSettings({});
  return show(settings?.values ?? {}, given.positionals, output);
}

async function setSettings({ given, output, connect }: CommandContext) {
  const pairs = given.positionals.map(parsePair);
  const { admin } = await connect();
  // What the mask names and the values do not have is set back to its default.
  const set = pairs.filter(([, value]) => value !== null);
  const { settings } = await admin.updateSettings({
    settings: { values: Object.fromEntries(set) },
    updateMask: { paths: pairs.map(([name]) => `values.${name}`) },
  });
  return show(
    settings?.values ?? {},
    pairs.map(([name]) => name),
    output,
  );
}

function parsePair(text: string): [name: string, value: JsonValue] {
  const match = /^([A-Za-z][A-Za-z0-9]*)=(.+)$/s.exec(text);
  if (match === null) throw new UsageError(`"${text}" is not NAME=VALUE`);
  const [, name = "", value = ""] = match;
  try {
    return [name, JSON.parse(value) as JsonValue];
  } catch {
    throw new UsageError(`the value of ${name} is not JSON; a text needs quotes: '${name}="text"'`);
  }
}

async function show(
  values: Record<string, unknown>,
  names: readonly string[],
  output: CommandContext["output"],
): Promise<number> {
  const { settingDefinitions } = await import("../access.ts");
  const known = settingDefinitions.map(({ name }): string => name);
  const unknown = names.find((name) => !known.includes(name) && !(name in values));
  if (unknown !== undefined) {
    throw new UsageError(`"${unknown}" is no setting; there are ${known.sort().join(", ")}`);
  }
  const shown = names.length > 0 ? names : known;
  if (output.isJson) {
    output.json(Object.fromEntries(shown.map((name) => [name, values[name] ?? null])));
    return 0;
  }
  for (const name of shown) {
    output.line(`${name}=${name in values ? JSON.stringify(values[name]) : "(default)"}`);
  }
  return 0;
}
