/** Stands in for the key of a server that wants none: no secret, but a word of many errors. */
export const NO_KEY = "none";

/** Takes our key out of an error: some servers repeat it in their complaint, which is logged. */
export function withoutKey(error: unknown, apiKey: string): unknown {
  if (apiKey === "" || apiKey === NO_KEY || !(error instanceof Error)) return error;
  const clean = (text: string) => text.replaceAll(apiKey, "[redacted]");
  error.message = clean(error.message);
  if (error.stack !== undefined) error.stack = clean(error.stack);
  const { body } = error as { body?: unknown };
  if (typeof body === "string") Object.assign(error, { body: clean(body) });
  return error;
}
