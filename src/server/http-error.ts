/** A request that HTTP itself refuses: wrong path, method, content type, size. */
import { Code, ConnectError } from "@connectrpc/connect";

/** Carries its HTTP status; the same failure as an RPC error is told in the body. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

const codes: Record<number, Code> = {
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.NotFound,
  405: Code.Unimplemented,
  408: Code.DeadlineExceeded,
  413: Code.ResourceExhausted,
  429: Code.ResourceExhausted,
  431: Code.ResourceExhausted,
  503: Code.Unavailable,
  505: Code.Unimplemented,
};

/** The RPC error that says the same as an HTTP status. */
export function errorFromHttpStatus(status: number, message: string): ConnectError {
  const code = codes[status] ?? (status < 500 ? Code.InvalidArgument : Code.Internal);
  return new ConnectError(message, code);
}
