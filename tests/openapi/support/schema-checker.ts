/** Holds values against the schemas of a document. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import type { Document } from "../../../src/openapi/index.ts";

export interface SchemaChecker {
  /** What a value breaks of the schema at a JSON pointer; properties that it does not name too. */
  faults(pointer: string, value: unknown): string[];
}

export function createSchemaChecker(document: Document): SchemaChecker {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  for (const format of ["int32", "int64", "uint32", "uint64", "float", "double", "binary"]) {
    ajv.addFormat(format, true);
  }
  for (const format of ["google-duration", "google-fieldmask"]) ajv.addFormat(format, true);
  ajv.addSchema(closed(document) as object, "document");
  const compiled = new Map<string, ValidateFunction>();
  return {
    faults(pointer, value) {
      let validate = compiled.get(pointer);
      if (validate === undefined) {
        const fragment = encodeURI(pointer).replaceAll("#", "%23");
        validate = ajv.compile({ $ref: `document#${fragment}` });
        compiled.set(pointer, validate);
      }
      if (validate(value)) return [];
      return (validate.errors ?? []).map(
        ({ instancePath, message, params }) =>
          `${pointer}: ${instancePath} ${message} ${JSON.stringify(params)}`,
      );
    },
  };
}

/** Objects take no properties but theirs: what the document does not name is a fault of its. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, child]) => [key, closed(child)]);
  const copy = Object.fromEntries(entries) as Record<string, unknown>;
  if (copy["type"] === "object" && copy["additionalProperties"] === undefined) {
    copy["unevaluatedProperties"] = false;
  }
  return copy;
}
