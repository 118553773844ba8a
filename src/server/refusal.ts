/** Requests that HTTP itself refuses (wrong path, method, content type, size), as google.rpc.Status. */
import { Code } from "@connectrpc/connect";
import { compileErrorWriter, HttpError } from "../rest/index.ts";
import { toConnectError } from "../rpc/errors.ts";

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

/** The RPC error that says the same as an HTTP status, and is answered with it. */
export function refusal(
  status: number,
  message: string,
  headers: Record<string, string> = {},
): HttpError {
  const code = codes[status] ?? (status < 500 ? Code.InvalidArgument : Code.Internal);
  return new HttpError(status, code, message, headers);
}

const writeError = compileErrorWriter();

/** Any error, as it is answered over plain HTTP. */
export function errorResponse(reason: unknown, requestId: string) {
  const error = toConnectError(reason, requestId);
  const { httpStatus, headers, status } = writeError(error);
  return { error, httpStatus, headers, body: JSON.stringify(status) };
}
