import { readComplaint } from "./complaint.ts";

/** The longest message. */
const MESSAGE_CHARACTERS = 1000;

/** An answer with a bad status. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly status: number;
  /** How long the provider wants to be left alone; undefined: it does not say. */
  readonly retryAfterSeconds: number | undefined;
  /** As far as it was read. Not enumerable: what it repeats of a request is not for the log. */
  declare readonly body: string;

  constructor(status: number, retryAfterSeconds: number | undefined, body: string) {
    const words = readComplaint(body)?.message ?? body.trim();
    super(`status ${status}${words && `: ${words.slice(0, MESSAGE_CHARACTERS)}`}`);
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
    Object.defineProperty(this, "body", { value: body, writable: true });
  }
}
