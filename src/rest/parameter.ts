/** Reads the text of path variables, query parameters and headers as values of fields. */
import {
  create,
  fromJson,
  ScalarType,
  type DescEnum,
  type DescField,
  type DescMessage,
} from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import {
  DurationSchema,
  FieldMaskSchema,
  isWrapperDesc,
  TimestampSchema,
} from "@bufbuild/protobuf/wkt";

/** Reads a text as a field's value. Throws an Error that says what would be right. */
export type ParameterReader = (text: string) => unknown;

/**
 * Gives the reader for one value of a field: of a singular field itself, or of
 * one element of a repeated one. Undefined if the field is no parameter: maps,
 * repeated messages, and messages that are not written as one text.
 */
export function parameterReader(field: DescField): ParameterReader | undefined {
  switch (field.fieldKind) {
    case "scalar":
      return scalarReader(field.scalar, field.longAsString);
    case "enum":
      return enumReader(field.enum);
    case "message":
      return messageReader(field.message, field.oneof === undefined);
    case "list":
      if (field.listKind === "scalar") return scalarReader(field.scalar, field.longAsString);
      return field.listKind === "enum" ? enumReader(field.enum) : undefined;
    default:
      return undefined;
  }
}

function fail(expected: string): never {
  throw new Error(`expected ${expected}`);
}

const decimal = /^-?\d+$/;
const number = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

function scalarReader(type: ScalarType, longAsString: boolean): ParameterReader {
  switch (type) {
    case ScalarType.STRING:
      return (text) => text;
    case ScalarType.BOOL:
      return (text) => (text === "true" ? true : text === "false" ? false : fail("true or false"));
    case ScalarType.BYTES:
      return readBytes;
    case ScalarType.DOUBLE:
      return readDouble;
    case ScalarType.FLOAT:
      return readFloat;
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return (text) => readInteger(text, 0, 0xffffffff);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return (text) => readInteger(text, -0x80000000, 0x7fffffff);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return long(0n, 0xffffffffffffffffn, longAsString);
    default:
      return long(-0x8000000000000000n, 0x7fffffffffffffffn, longAsString);
  }
}

/** Integers may be written like 1e3 or 2.0, as in JSON. */
function readInteger(text: string, least: number, greatest: number): number {
  const value = number.test(text) ? Number(text) : Number.NaN;
  if (Number.isInteger(value) && value >= least && value <= greatest) {
    return value === 0 ? 0 : value;
  }
  return fail(`an integer from ${least} to ${greatest}`);
}

function long(least: bigint, greatest: bigint, asString: boolean): ParameterReader {
  return (text) => {
    const value = decimal.test(text) && text.length < 40 ? BigInt(text) : undefined;
    if (value === undefined || value < least || value > greatest) {
      return fail(`an integer from ${least} to ${greatest}`);
    }
    return asString ? value.toString() : value;
  };
}

function readDouble(text: string): number {
  if (text === "NaN") return Number.NaN;
  if (text === "Infinity") return Number.POSITIVE_INFINITY;
  if (text === "-Infinity") return Number.NEGATIVE_INFINITY;
  const value = number.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : fail("a number");
}

/** The greatest number that rounds to a finite float. */
const floatMax = 3.4028235677973366e38;

function readFloat(text: string): number {
  const value = readDouble(text);
  if (Number.isFinite(value) && Math.abs(value) >= floatMax) fail("a number of 32 bits");
  return value;
}

const base64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

function readBytes(text: string): Uint8Array {
  try {
    if (base64.test(text)) return base64Decode(text);
  } catch {
    // falls through to the message below
  }
  return fail("base64");
}

function enumReader(desc: DescEnum): ParameterReader {
  const numbers = new Map<string, number>();
  for (const value of desc.values) numbers.set(value.name, value.number);
  for (const value of desc.values) numbers.set(value.jsonName, value.number);
  return (text) => {
    const named = numbers.get(text);
    if (named !== undefined) return named;
    if (decimal.test(text)) {
      const value = readInteger(text, -0x80000000, 0x7fffffff);
      if (desc.open || desc.value[value] !== undefined) return value;
    }
    const names = desc.values.slice(0, 20).map((value) => value.jsonName);
    return fail(`one of ${names.join(", ")}${names.length < desc.values.length ? ", …" : ""}`);
  };
}

/** Wrapper fields outside of a oneof hold the plain value, others the message. */
function messageReader(desc: DescMessage, unwrap: boolean): ParameterReader | undefined {
  switch (desc.typeName) {
    case TimestampSchema.typeName:
      return (text) => fromText(TimestampSchema, text, "a time like 2026-01-31T12:00:00Z");
    case DurationSchema.typeName:
      return readDuration;
    case FieldMaskSchema.typeName:
      return readFieldMask;
  }
  if (!isWrapperDesc(desc)) return undefined;
  const value = desc.fields[0];
  if (value.fieldKind !== "scalar") return undefined;
  const read = scalarReader(value.scalar, value.longAsString);
  return unwrap ? read : (text) => create(desc, { value: read(text) as never });
}

function fromText<Desc extends DescMessage>(desc: Desc, text: string, expected: string) {
  try {
    return fromJson(desc, text);
  } catch {
    return fail(expected);
  }
}

function readDuration(text: string): unknown {
  const expected = "a duration like 1.5s";
  return /^-?\d{1,12}(\.\d{1,9})?s$/.test(text)
    ? fromText(DurationSchema, text, expected)
    : fail(expected);
}

const maskPath = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/;

/** Paths may be written in camelCase, as in JSON, or in snake_case, as in the proto. */
function readFieldMask(text: string): unknown {
  const paths = text === "" ? [] : text.split(",");
  for (const path of paths) if (!maskPath.test(path)) fail("field paths, separated by commas");
  return create(FieldMaskSchema, {
    paths: paths.map((path) => path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)),
  });
}
