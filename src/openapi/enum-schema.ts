import type { DescEnum } from "@bufbuild/protobuf";
import { commentOf } from "./comments.ts";
import type { Json, JsonObject, Schema } from "./types.ts";

/** The schema of an enum: its values by name, each with its comment. */
export function enumSchema(desc: DescEnum): Schema {
  const lines = desc.values.map((value) => {
    const comment = commentOf(value).replaceAll("\n", " ");
    return `- \`${value.name}\`${comment === "" ? "" : `: ${comment}`}`;
  });
  return {
    type: "string",
    description: [commentOf(desc), lines.join("\n")].filter((text) => text !== "").join("\n\n"),
    enum: desc.values.map((value) => value.name),
    ...(desc.deprecated ? { deprecated: true } : {}),
  };
}

/** Constraints of an enum field. Rules name values by their numbers. */
export function enumConstraints(desc: DescEnum, rules: JsonObject): Schema {
  const names = (numbers: Json | undefined): string[] =>
    [numbers ?? []].flat().map((number) => desc.value[Number(number)]?.name ?? String(number));
  const { const: only, in: some, notIn, example } = rules;
  const refused = new Set(names(notIn));
  const left = desc.values.map((value) => value.name).filter((name) => !refused.has(name));
  return {
    ...(only === undefined ? {} : { const: names([only])[0] ?? "" }),
    ...(some === undefined && notIn === undefined ? {} : { enum: some ? names(some) : left }),
    ...(example === undefined ? {} : { examples: names(example) }),
  };
}
