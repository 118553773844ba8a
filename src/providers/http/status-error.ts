/** An answer with a bad status. */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** As far as it was read. */
  readonly body: string;

  constructor(status: number, headers: StatusError["headers"], body: string) {
    super(`${status} ${body.trim() === "" ? "status code (no body)" : body}`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}
