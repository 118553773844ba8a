/** Services with google.api.http rules as an OpenAPI document. */
import type { DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { collectRules, type RestRule } from "../rest/index.ts";
import { commentOf } from "./comments.ts";
import { conditionalRules } from "./conditions.ts";
import { errorComponents } from "./errors.ts";
import { headerReferences, placeOperation, tagOf, type MethodNotes } from "./operation.ts";
import { createPathNames } from "./path.ts";
import { createSchemas } from "./schemas.ts";
import type { Document, Header, Info, JsonObject, Operation, PathItem } from "./types.ts";

/** Options of `createDocument`. */
export interface DocumentOptions {
  readonly info: Info;
  readonly servers?: Document["servers"];
  /** In the order of their tags. Comments need descriptors with source information. */
  readonly services: readonly DescService[];
  /** Message types that errors carry as details. */
  readonly errorDetails?: readonly DescMessage[];
  /** Headers of every response. */
  readonly responseHeaders?: Readonly<Record<string, Header>>;
  /** How callers say who they are, by the names that `notesOn` uses. */
  readonly securitySchemes?: Readonly<Record<string, JsonObject>>;
  /** What the descriptors do not say about a method. */
  notesOn?(method: DescMethod): MethodNotes;
}

/** HTTP methods that a path item has a place for; others are extensions. */
const fixedMethods = new Set(["get", "put", "post", "delete", "options", "head", "patch", "trace"]);

/**
 * Writes the document, the same for the same input. Throws an Error that names
 * the RPC if a rule is wrong, or if two are the same to OpenAPI.
 */
export function createDocument(options: DocumentOptions): Document {
  const { services, responseHeaders = {}, errorDetails = [] } = options;
  const schemas = createSchemas();
  const headers = headerReferences(responseHeaders);
  const responses = errorComponents(schemas, errorDetails, headers);
  const notesOn = options.notesOn ?? (() => ({}));
  const rules = collectRules(services.flatMap((service) => service.methods));
  const operationIds = nameOperations(rules);
  const context = {
    schemas,
    responseHeaders,
    conditional: conditionalRules(rules),
    pathNames: createPathNames(),
    notesOn,
  };
  const paths: Record<string, PathItem> = {};

  for (const rule of rules) {
    const id = operationIds.get(rule) ?? rule.method.name;
    const { path, operation } = placeOperation(rule, id, context);
    const item = (paths[path] ??= {});
    const key = rule.httpMethod.toLowerCase();
    if (fixedMethods.has(key)) place(item, key, operation, path);
    else item["x-additionalOperations"] = { ...others(item), [rule.httpMethod]: operation };
  }
  const tagged = services.filter((service) =>
    rules.some(({ method }) => method.parent === service),
  );
  return {
    openapi: "3.1.1",
    info: options.info,
    servers: options.servers ?? [{ url: "/" }],
    tags: tagged.map((service) => {
      const name = tagOf(service);
      const description = commentOf(service);
      return description === "" ? { name } : { name, description };
    }),
    paths,
    components: {
      schemas: schemas.components(),
      responses,
      headers: responseHeaders,
      securitySchemes: options.securitySchemes ?? {},
    },
  };
}

function place(item: PathItem, key: string, operation: Operation, path: string): void {
  const other = item[key];
  if (other !== undefined) {
    throw new Error(
      `${operation["x-rpc"]}: ${key.toUpperCase()} ${path} is also ${(other as Operation)["x-rpc"]} to OpenAPI`,
    );
  }
  item[key] = operation;
}

function others(item: PathItem): Record<string, Operation> {
  return (item["x-additionalOperations"] ?? {}) as Record<string, Operation>;
}

/** The RPC's name; with its service's where two have it, with a number in additional bindings. */
function nameOperations(rules: readonly RestRule[]): Map<RestRule, string> {
  const owners = new Map<string, Set<DescMethod>>();
  for (const { method } of rules) {
    owners.set(method.name, (owners.get(method.name) ?? new Set()).add(method));
  }
  const counts = new Map<DescMethod, number>();
  const names = new Map<RestRule, string>();
  for (const rule of rules) {
    const { method } = rule;
    const count = (counts.get(method) ?? 0) + 1;
    counts.set(method, count);
    const alone = owners.get(method.name)?.size === 1;
    const name = alone ? method.name : `${method.parent.name}_${method.name}`;
    names.set(rule, count === 1 ? name : `${name}_${count}`);
  }
  return names;
}
