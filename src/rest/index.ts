/**
 * A complete server-side transcoder for `google.api.http`: REST and JSON in
 * front of Connect services, on Fastify.
 */
export type { CorsOptions } from "./cors.ts";
export { HttpError } from "./errors.ts";
export { jsonPath, resolveFieldPath, type FieldPath } from "./field-path.ts";
export { readJsonMessage, type JsonMessageOptions } from "./json-message.ts";
export type { RestOptions } from "./options.ts";
export { parameterReader, type ParameterReader } from "./parameter.ts";
export {
  parsePathTemplate,
  templateShape,
  type PathTemplate,
  type Segment,
  type TemplateVariable,
} from "./path-template.ts";
export { fastifyRest } from "./plugin.ts";
export { requestEtag, responseEtag } from "./precondition.ts";
export { hasBody, readBytes } from "./request-bytes.ts";
export { collectRules, type RestRule, type RuleVariable } from "./rule.ts";
export { compileErrorWriter, httpStatusOf, type StatusJson } from "./status.ts";
