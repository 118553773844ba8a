/** Path templates of google.api.http as those of OpenAPI, which know single segments only. */
import type { RestRule, RuleVariable } from "../rest/index.ts";
import { fieldSchema } from "./field-schema.ts";
import type { Schemas } from "./schemas.ts";
import type { Parameter } from "./types.ts";

/** A path of the document with its parameters. */
export interface DocumentPath {
  readonly path: string;
  readonly parameters: readonly Parameter[];
}

/**
 * Names the parameters of paths, one for each wildcard of a template. Paths that
 * differ in these names only are the same to OpenAPI: the first one gives them.
 */
export function createPathNames(): (rule: RestRule) => readonly string[] {
  const known = new Map<string, readonly string[]>();
  return (rule) => {
    const { segments, verb } = rule.template;
    const shape = segments.map((segment) => (segment.kind === "literal" ? segment.text : "*"));
    const key = JSON.stringify([...shape, verb]);
    let names = known.get(key);
    if (names === undefined) known.set(key, (names = wildcardNames(rule)));
    return names;
  };
}

/** As in the template; numbered where a variable captures several wildcards. */
function wildcardNames(rule: RestRule): string[] {
  return wildcardIndexes(rule).map((index) => {
    const variable = variableAt(rule, index);
    if (variable === undefined) return `segment_${index + 1}`;
    const own = wildcardIndexes(rule).filter((other) => variableAt(rule, other) === variable);
    const name = variable.fieldPath.join(".");
    return own.length > 1 ? `${name}_${own.indexOf(index) + 1}` : name;
  });
}

function wildcardIndexes({ template }: RestRule): number[] {
  return template.segments.flatMap(({ kind }, index) => (kind === "literal" ? [] : [index]));
}

function variableAt({ variables }: RestRule, index: number): RuleVariable | undefined {
  return variables.find(({ start, end }) => start <= index && index < end);
}

/** Writes a rule's path. `values` are what to show for the variables. */
export function documentPath(
  rule: RestRule,
  names: readonly string[],
  schemas: Schemas,
  values: ReadonlyMap<RuleVariable, string>,
): DocumentPath {
  const { segments, verb } = rule.template;
  const indexes = wildcardIndexes(rule);
  const nameAt = (index: number) => names[indexes.indexOf(index)] ?? "";
  const written = segments.map((segment, index) =>
    segment.kind === "literal" ? encodeLiteral(segment.text) : `{${nameAt(index)}}`,
  );
  const suffix = verb === "" ? "" : `:${encodeLiteral(verb)}`;
  return {
    path: `/${written.join("/")}${suffix}`,
    parameters: indexes.map((index) => {
      const variable = variableAt(rule, index);
      const example = variable && exampleAt(rule, variable, index, values.get(variable));
      return {
        name: nameAt(index),
        in: "path",
        required: true,
        ...describe(rule, variable, index, schemas),
        ...(example === undefined ? {} : { example }),
      };
    }),
  };
}

/** The schema is the field's own where the parameter is the whole value of the field. */
function describe(
  { template }: RestRule,
  variable: RuleVariable | undefined,
  index: number,
  schemas: Schemas,
): Pick<Parameter, "description" | "schema"> {
  const many = template.segments[index]?.kind === "**" ? "Any number of segments." : "";
  const field = variable?.fields.at(-1);
  if (variable === undefined || field === undefined) {
    return { ...(many === "" ? {} : { description: many }), schema: { type: "string" } };
  }
  const { description: comment = "", ...schema } = fieldSchema(field, schemas);
  const whole = variable.end - variable.start === 1;
  const pattern = template.segments
    .slice(variable.start, variable.end)
    .map((segment) => (segment.kind === "literal" ? segment.text : segment.kind))
    .join("/");
  const texts = [comment, whole ? "" : `Stands in \`${pattern}\`.`, many];
  const description = texts.filter((text) => text !== "").join("\n\n");
  return {
    ...(description === "" ? {} : { description }),
    schema: whole ? schema : { type: "string" },
  };
}

/** What of a variable's value stands at one of its segments. */
function exampleAt(
  { template }: RestRule,
  { start }: RuleVariable,
  index: number,
  value: string | undefined,
): string | undefined {
  const parts = value?.split("/");
  const many = template.segments[index]?.kind === "**";
  return many ? parts?.slice(index - start).join("/") : parts?.[index - start];
}

/** Escapes what RFC 3986 does not allow in a segment, and braces. */
function encodeLiteral(text: string): string {
  return encodeURIComponent(text).replaceAll(/%(24|26|2B|2C|3B|3D|40)/g, decodeURIComponent);
}
