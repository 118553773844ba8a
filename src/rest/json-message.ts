/** Reads a JSON text as a message. */
import {
  fromJson,
  type DescField,
  type DescMessage,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { invalidArgument } from "./errors.ts";
import { settleNumbers } from "./json-numbers.ts";
import { findJsonProblem } from "./json-problem.ts";
import { parseJson } from "./json-syntax.ts";

/** How a text is read. */
export interface JsonMessageOptions {
  /** Types for google.protobuf.Any and extensions. */
  readonly registry?: Registry | undefined;
  /** Passes over fields and enum names that are not known. Default false. */
  readonly ignoreUnknownFields?: boolean;
  /** The text is the value of this field only. */
  readonly field?: DescField | undefined;
}

/** Reads UTF-8 bytes. Throws INVALID_ARGUMENT that names the field, or the place where the JSON breaks. */
export function readJsonMessage(
  desc: DescMessage,
  bytes: Buffer,
  { registry, ignoreUnknownFields = false, field }: JsonMessageOptions = {},
): Message {
  const parsed = parseJson(bytes, field?.jsonName);
  let { json } = parsed;
  if (field !== undefined) json = { [field.jsonName]: json };
  if (parsed.mayHaveGreatNumbers) json = settleNumbers(json, desc);
  const options = registry === undefined ? {} : { registry };
  try {
    return fromJson(desc, json, { ...options, ignoreUnknownFields });
  } catch (error) {
    const problem = findJsonProblem(desc, json, { ...options, ignoreUnknownFields });
    throw invalidArgument(
      problem?.path ?? "",
      problem?.description ?? `the body does not fit: ${(error as Error).message}`,
    );
  }
}
