/** Rules for strings and bytes as constraints of JSON Schema. */
import type { Json, JsonObject, Schema } from "./types.ts";

/** Formats of JSON Schema by the names of rules. */
const formats: Readonly<Record<string, Schema>> = {
  email: { format: "email" },
  hostname: { format: "hostname" },
  ip: { anyOf: [{ format: "ipv4" }, { format: "ipv6" }] },
  ipv4: { format: "ipv4" },
  ipv6: { format: "ipv6" },
  uri: { format: "uri" },
  uriRef: { format: "uri-reference" },
  address: { anyOf: [{ format: "hostname" }, { format: "ipv4" }, { format: "ipv6" }] },
  uuid: { format: "uuid" },
  tuuid: { pattern: "^[0-9a-fA-F]{32}$" },
  ulid: { pattern: "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$" },
  ipWithPrefixlen: { format: "ip-with-prefix-length" },
  ipv4WithPrefixlen: { format: "ipv4-with-prefix-length" },
  ipv6WithPrefixlen: { format: "ipv6-with-prefix-length" },
  ipPrefix: { format: "ip-prefix" },
  ipv4Prefix: { format: "ipv4-prefix" },
  ipv6Prefix: { format: "ipv6-prefix" },
  hostAndPort: { format: "host-and-port" },
  protobufFqn: { pattern: String.raw`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$` },
  protobufDotFqn: { pattern: String.raw`^\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$` },
};

const headerPatterns: Readonly<Record<string, string>> = {
  KNOWN_REGEX_HTTP_HEADER_NAME: "^:?[0-9a-zA-Z!#$%&'*+\\-.^_|~`]+$",
  KNOWN_REGEX_HTTP_HEADER_VALUE: "^[^\\u0000-\\u0008\\u000A-\\u001F\\u007F]*$",
};

/** Constraints of a string. A rule in bytes bounds the characters, of which there are never more. */
export function stringConstraints(rules: JsonObject): Schema {
  const constraints = Object.entries(rules).flatMap(([name, rule]) => stringConstraint(name, rule));
  return merge(constraints);
}

function stringConstraint(name: string, rule: Json): Schema[] {
  switch (name) {
    case "const":
      return [{ const: rule }];
    case "in":
      return [{ enum: rule as Json[] }];
    case "notIn":
      return [{ not: { enum: rule as Json[] } }];
    case "len":
      return [{ minLength: Number(rule), maxLength: Number(rule) }];
    case "minLen":
      return [{ minLength: Number(rule) }];
    case "maxLen":
      return [{ maxLength: Number(rule) }];
    case "lenBytes":
      return [
        { maxLength: Number(rule), "x-min-bytes": Number(rule), "x-max-bytes": Number(rule) },
      ];
    case "minBytes":
      return [{ minLength: Math.ceil(Number(rule) / 4), "x-min-bytes": Number(rule) }];
    case "maxBytes":
      return [{ maxLength: Number(rule), "x-max-bytes": Number(rule) }];
    case "pattern":
      return [{ pattern: String(rule) }];
    case "prefix":
      return [{ pattern: `^${escape(rule)}` }];
    case "suffix":
      return [{ pattern: `${escape(rule)}$` }];
    case "contains":
      return [{ pattern: escape(rule) }];
    case "notContains":
      return [{ not: { pattern: escape(rule) } }];
    case "wellKnownRegex":
      return [{ pattern: headerPatterns[String(rule)] ?? "" }];
    case "example":
      return [{ examples: rule as Json[] }];
    default:
      return rule === true && formats[name] ? [formats[name]] : [];
  }
}

/** Constraints of bytes, which are base64 in JSON: lengths are those of the text. */
export function bytesConstraints(rules: JsonObject): Schema {
  const { const: only, in: some, len, minLen = len, maxLen = len, example } = rules;
  return {
    ...(only === undefined ? {} : { const: only }),
    ...(some === undefined ? {} : { enum: some as Json[] }),
    ...(minLen === undefined
      ? {}
      : { minLength: Math.ceil((Number(minLen) * 4) / 3), "x-min-bytes": Number(minLen) }),
    ...(maxLen === undefined
      ? {}
      : { maxLength: Math.ceil(Number(maxLen) / 3) * 4, "x-max-bytes": Number(maxLen) }),
    ...(example === undefined ? {} : { examples: example as Json[] }),
  };
}

/** Joins constraints; a keyword that is already taken goes into `allOf`. */
function merge(constraints: readonly Schema[]): Schema {
  let merged: Schema = {};
  const others: Schema[] = [];
  for (const constraint of constraints) {
    if (Object.keys(constraint).some((keyword) => keyword in merged)) others.push(constraint);
    else merged = { ...merged, ...constraint };
  }
  return others.length === 0 ? merged : { ...merged, allOf: others };
}

function escape(text: Json): string {
  return String(text).replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}
