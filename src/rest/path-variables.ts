/** Sets fields of a request message from the variables of the path. */
import type { Message } from "@bufbuild/protobuf";
import { invalidArgument, quote } from "./errors.ts";
import { jsonPath, parentOf, setField } from "./field-path.ts";
import { parameterReader } from "./parameter.ts";
import { decodePercent, decodePercentExceptSlash } from "./percent.ts";
import type { RestRule } from "./rule.ts";

/**
 * Sets the captured fields from the raw segments of a path, whose escapes are
 * known to be well-formed. Throws INVALID_ARGUMENT.
 */
export type PathReader = (segments: readonly string[], message: Message) => void;

/** Compiles the reader of a rule's variables. */
export function compilePathReader({ template, variables }: RestRule): PathReader {
  const readers = variables.map(({ fields, start, end }): PathReader => {
    const field = fields.at(-1);
    const read = field === undefined ? undefined : parameterReader(field);
    if (field === undefined || read === undefined) throw new TypeError("not a scalar field");
    const name = jsonPath(fields);
    const toTheEnd = template.segments[end - 1]?.kind === "**";
    const single = end - start === 1 && !toTheEnd;
    const last = toTheEnd ? undefined : end;

    return (segments, message) => {
      const raw = single ? (segments[start] ?? "") : segments.slice(start, last).join("/");
      const text = single ? decodePercent(raw) : decodePercentExceptSlash(raw);
      if (text === undefined) throw new TypeError("the path was not checked");
      let value: unknown;
      try {
        value = read(text);
      } catch (error) {
        throw invalidArgument(name, `${(error as Error).message}, got ${quote(text)}`);
      }
      setField(parentOf(message, fields), field, value);
    };
  });
  return (segments, message) => {
    for (const read of readers) read(segments, message);
  };
}
