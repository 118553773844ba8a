/** The routes that `google.api.http` gives to methods, checked at start-up. */
import { METHODS } from "node:http";
import { getOption, hasOption, type DescField, type DescMethod } from "@bufbuild/protobuf";
import { http } from "../../gen/google/api/annotations_pb.js";
import type { HttpRule } from "../../gen/google/api/http_pb.js";
import { resolveFieldPath, type FieldPath } from "./field-path.ts";
import {
  parsePathTemplate,
  templateShape,
  type PathTemplate,
  type TemplateVariable,
} from "./path-template.ts";

/** A variable of a template with the request field that it sets. */
export interface RuleVariable extends TemplateVariable {
  readonly fields: FieldPath;
}

/** One route of one method. */
export interface RestRule {
  readonly method: DescMethod;
  /** `GET`, `POST` and so on; `*` for a rule that leaves it open. */
  readonly httpMethod: string;
  readonly template: PathTemplate;
  readonly variables: readonly RuleVariable[];
  /** What the request's body is: the whole message, one of its fields, or nothing. */
  readonly body: "*" | DescField | undefined;
  /** The response field that is the body; the whole response if undefined. */
  readonly responseBody: DescField | undefined;
}

/**
 * Collects the rules of methods, additional bindings included. Methods without
 * a rule give none. Throws an Error that names the RPC and says what is wrong
 * with its rule, also if two rules have the same HTTP method and shape.
 */
export function collectRules(methods: readonly DescMethod[]): RestRule[] {
  const rules: RestRule[] = [];
  const owners = new Map<string, RestRule>();
  for (const method of methods) {
    for (const rule of rulesOf(method)) {
      const shape = `${rule.httpMethod} ${templateShape(rule.template)}`;
      const owner = owners.get(shape);
      if (owner !== undefined) {
        throw new Error(
          `${rpcName(method)}: google.api.http: "${rule.template.text}" is already taken by ` +
            `${rpcName(owner.method)} with "${owner.template.text}" (${shape})`,
        );
      }
      owners.set(shape, rule);
      rules.push(rule);
    }
  }
  return rules;
}

function rulesOf(method: DescMethod): RestRule[] {
  if (!hasOption(method, http)) return [];
  const rule = getOption(method, http);
  try {
    for (const binding of rule.additionalBindings) {
      if (binding.additionalBindings.length > 0) {
        throw new Error("additional_bindings inside additional_bindings");
      }
    }
    return [rule, ...rule.additionalBindings].map((binding) => buildRule(method, binding));
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${rpcName(method)}: google.api.http: ${problem}`, { cause });
  }
}

function buildRule(method: DescMethod, rule: HttpRule): RestRule {
  const { httpMethod, path } = patternOf(rule);
  const template = parsePathTemplate(path);
  const variables = template.variables.map((variable) => bindVariable(method, variable));
  const fields = variables.map((variable) => variable.fields);
  for (const [index, path] of fields.entries()) {
    const last = path.at(-1);
    if (fields.findIndex((other) => sameFields(other, path)) !== index) {
      throw new Error(`field "${last?.name}" is bound twice`);
    }
  }
  return {
    method,
    httpMethod,
    template,
    variables,
    body: rule.body === "*" ? "*" : topLevelField(method, "body", rule.body),
    responseBody: topLevelField(method, "response_body", rule.responseBody),
  };
}

function patternOf({ pattern }: HttpRule): { httpMethod: string; path: string } {
  switch (pattern.case) {
    case undefined:
      throw new Error("the rule has no pattern, such as get or post");
    case "custom": {
      const { kind, path } = pattern.value;
      if (kind !== "*" && !METHODS.includes(kind)) {
        throw new Error(`custom kind "${kind}" is no HTTP method that Node.js understands`);
      }
      return { httpMethod: kind, path };
    }
    default:
      return { httpMethod: pattern.case.toUpperCase(), path: pattern.value };
  }
}

function bindVariable(method: DescMethod, variable: TemplateVariable): RuleVariable {
  const fields = resolveFieldPath(method.input, variable.fieldPath);
  const last = fields.at(-1);
  if (last?.fieldKind !== "scalar" && last?.fieldKind !== "enum") {
    throw new Error(`variable "${variable.fieldPath.join(".")}" is no single scalar field`);
  }
  return { ...variable, fields };
}

function topLevelField(
  method: DescMethod,
  option: "body" | "response_body",
  name: string,
): DescField | undefined {
  if (name === "") return undefined;
  const message = option === "body" ? method.input : method.output;
  const field = message.fields.find((candidate) => candidate.name === name);
  if (field === undefined) {
    throw new Error(`${option}: ${message.typeName} has no field "${name}"`);
  }
  return field;
}

function sameFields(one: FieldPath, other: FieldPath): boolean {
  return one.length === other.length && one.every((field, index) => field === other[index]);
}

function rpcName(method: DescMethod): string {
  return `${method.parent.typeName}.${method.name}`;
}
