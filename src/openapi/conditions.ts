/** Conditional requests: entity tags of what is read, and conditions on them. */
import { requestEtag, responseEtag, templateShape, type RestRule } from "../rest/index.ts";
import type { Header, Parameter } from "./types.ts";

/** The header of every answer that is read. */
export const etagHeader: Header = {
  description: "The entity tag of the answer, for `If-None-Match` and `If-Match`.",
  schema: { type: "string" },
};

/** Whether answers have an entity tag, and requests may ask for what is newer only. */
export function isTagged({ httpMethod, method }: RestRule): boolean {
  return httpMethod === "GET" && method.methodKind === "unary";
}

/** Finds the rules whose requests may be made to depend on the state of what they change. */
export function conditionalRules(rules: readonly RestRule[]): ReadonlySet<RestRule> {
  const shapeOf = (rule: RestRule) => templateShape(rule.template);
  const tagged = rules.filter((rule) => isTagged(rule) && responseEtag(rule) !== undefined);
  const shapes = new Set(tagged.map(shapeOf));
  const changing = rules.filter(
    ({ httpMethod, method }) =>
      ["PUT", "PATCH", "DELETE"].includes(httpMethod) && method.methodKind === "unary",
  );
  return new Set(
    changing.filter((rule) => shapes.has(shapeOf(rule)) || requestEtag(rule) !== undefined),
  );
}

/** Takes the tags that the caller has. */
export const ifNoneMatch: Parameter = {
  name: "If-None-Match",
  in: "header",
  description: "Answers 304, without a body, if this is still the entity tag.",
  schema: { type: "string" },
};

/** Takes the tag of what the caller means to change. */
export const ifMatch: Parameter = {
  name: "If-Match",
  in: "header",
  description: "The `ETag` or the `etag` of what was read: changed since then, it is left alone.",
  schema: { type: "string" },
};
