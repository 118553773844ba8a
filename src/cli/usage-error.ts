/** The command line says something that cannot be meant. Ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Something went wrong that the operator can act on; the message says how. Exit code 1. */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
}
