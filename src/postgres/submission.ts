import type { Statement, TextRow } from "./pipeline.ts";

/** What we use of pg's Connection. */
export interface PgConnection {
  readonly stream: { cork(): void; uncork(): void; destroy(): void };
  readonly parsedStatements: Record<string, string>;
  readonly submittedNamedStatements: Record<string, string>;
  parse(message: { name: string; text: string }): void;
  bind(message: {
    portal: string;
    statement: string;
    values: readonly unknown[];
    valueMapper: (value: unknown) => string | Buffer | null;
  }): void;
  execute(message: { portal: string; rows: number }): void;
  sync(): void;
}

/** What a client of pg calls while it runs a query: its Submittable. */
export interface Submission {
  readonly name: string;
  readonly text: string;
  /** Called once, when there is a result or a failure. */
  ended: (failure?: Error) => void;
  submit(connection: PgConnection): Error | null;
  handleRowDescription(): void;
  handleDataRow(message: { fields: TextRow }): void;
  handleCommandComplete(): void;
  handleEmptyQuery(): void;
  handlePortalSuspended(): void;
  handleReadyForQuery(): void;
  handleError(error: Error): void;
}

/**
 * One run of a prepared statement. Leaner than pg's own Query: it does not ask for the
 * types of the columns, as the caller knows them.
 */
export function createSubmission(
  { name, text }: Statement,
  values: readonly unknown[],
  resolve: (rows: TextRow[]) => void,
  reject: (error: Error) => void,
  ended: () => void,
): Submission {
  const rows: TextRow[] = [];
  return {
    name,
    text,
    ended,
    submit(connection) {
      if (
        connection.parsedStatements[name] === undefined &&
        connection.submittedNamedStatements[name] === undefined
      ) {
        connection.parse({ name, text });
        connection.submittedNamedStatements[name] = text;
      }
      connection.bind({ portal: "", statement: name, values, valueMapper: toWire });
      connection.execute({ portal: "", rows: 0 });
      connection.sync();
      return null;
    },
    handleRowDescription: ignore,
    handleDataRow(message) {
      rows.push(message.fields);
    },
    handleCommandComplete: ignore,
    handleEmptyQuery: ignore,
    handlePortalSuspended: ignore,
    handleReadyForQuery() {
      resolve(rows);
      this.ended();
    },
    handleError(error) {
      reject(error);
      this.ended(error);
    },
  };
}

function ignore() {}

function toWire(value: unknown): string | Buffer | null {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return null;
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  return String(value);
}
