/** The buf.validate rules of descriptors, as plain objects that hold only what is set. */
import {
  create,
  getOption,
  hasOption,
  toJson,
  type DescField,
  type DescMessage,
  type DescOneof,
} from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import {
  field as fieldOption,
  FieldRulesSchema,
  message as messageOption,
  MessageRulesSchema,
} from "../../gen/buf/validate/validate_pb.js";
import type { Json, JsonObject } from "./types.ts";

/** Rules for one value. */
export interface ValueRules {
  /** The rules of the value's type by their JSON names: `{"minLen": "1"}`. */
  readonly type: JsonObject;
  /** Rules written in CEL, in the words that callers are told. */
  readonly notes: readonly string[];
}

/** Rules for a message as a whole. */
export interface MessageRules {
  readonly notes: readonly string[];
  /** Groups of fields, by names as in the proto, of which one may be or must be set. */
  readonly oneofs: readonly { readonly fields: readonly string[]; readonly required: boolean }[];
}

/** The rules of a field. */
export function fieldRules(field: DescField): ValueRules {
  if (!hasOption(field, fieldOption)) return readRules(undefined);
  return readRules(toJson(FieldRulesSchema, getOption(field, fieldOption)) as JsonObject);
}

/** Reads FieldRules in their JSON form, such as those of a list's items or a map's keys. */
export function readRules(json: Json | undefined): ValueRules {
  const { ignore, cel, celExpression, ...others } = (json ?? {}) as Record<string, Json>;
  if (ignore === "IGNORE_ALWAYS") return { type: {}, notes: [] };
  const expressions = (celExpression ?? []) as string[];
  return {
    // What is left is `required`, a boolean, and the rules of one type.
    type: (Object.values(others).find((rules) => typeof rules === "object") ?? {}) as JsonObject,
    notes: [...celNotes(cel), ...expressions.map((expression) => `\`${expression}\``)],
  };
}

/** The rules of a message. */
export function messageRules(message: DescMessage): MessageRules {
  if (!hasOption(message, messageOption)) return { notes: [], oneofs: [] };
  const rules = getOption(message, messageOption);
  const { cel } = toJson(MessageRulesSchema, rules) as { cel?: Json };
  return { notes: celNotes(cel), oneofs: rules.oneof };
}

function celNotes(cel: Json | undefined): string[] {
  const rules = (cel ?? []) as { id?: string; message?: string; expression?: string }[];
  return rules.map(({ message, expression, id }) => message || `\`${expression || id}\``);
}

const validator = createValidator();
const required = new WeakMap<DescMessage, ReadonlySet<DescField | DescOneof>>();

/**
 * The fields and oneofs that no valid message goes without: those that the
 * validator misses in an empty one.
 * @throws Error if a rule cannot be evaluated.
 */
export function requiredMembers(message: DescMessage): ReadonlySet<DescField | DescOneof> {
  let members = required.get(message);
  if (members === undefined) {
    const result = validator.validate(message, create(message));
    if (result.kind === "error") throw result.error;
    members = new Set(
      (result.violations ?? []).flatMap(({ field: [member] }) =>
        member?.kind === "field" || member?.kind === "oneof" ? [member] : [],
      ),
    );
    required.set(message, members);
  }
  return members;
}
