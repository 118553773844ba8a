import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";

/** Where a command writes. Data goes to standard output, everything else to standard error. */
export interface Output {
  /** Whether the operator asked for JSON. */
  readonly isJson: boolean;
  /** One line for people and programs. */
  line(text: string): void;
  /** One line for people only, on standard error. */
  note(text: string): void;
  /** A value as indented JSON. */
  json(value: unknown): void;
  /** Rows under their headings, in columns. */
  table(headings: readonly string[], rows: readonly (readonly string[])[]): void;
}

/** Writes text; `process.stdout` and `process.stderr` do. */
export interface TextSink {
  write(text: string): unknown;
}

export function createOutput(isJson: boolean, out: TextSink, err: TextSink): Output {
  const line = (text: string) => void out.write(`${text}\n`);
  return {
    isJson,
    line,
    note: (text) => void err.write(`${text}\n`),
    json: (value) => line(JSON.stringify(value, null, 2)),
    table(headings, rows) {
      const printable = [headings, ...rows].map((row) => row.map(visible));
      const widths = headings.map((_, column) =>
        Math.max(...printable.map((row) => row[column]?.length ?? 0)),
      );
      for (const row of printable) {
        line(
          row
            .map((cell, column) => cell.padEnd(widths[column] ?? 0))
            .join("  ")
            .trimEnd(),
        );
      }
    },
  };
}

/** Text without control characters: what others named must not write to the operator's terminal. */
export function visible(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "�");
}

/** Messages of the contract as the REST door writes them. */
export function toJsonList<Schema extends DescMessage>(
  schema: Schema,
  messages: readonly MessageShape<Schema>[],
): unknown[] {
  return messages.map((message) => toJson(schema, message, { alwaysEmitImplicit: true }));
}
