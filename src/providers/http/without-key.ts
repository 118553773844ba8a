/** Takes our key out of an error: some servers repeat it in their complaint, which is logged. */
export function withoutKey(error: unknown, apiKey: string | undefined): unknown {
  if (!apiKey || !(error instanceof Error)) return error;
  const clean = (text: string) => text.replaceAll(apiKey, "[redacted]");
  error.message = clean(error.message);
  if (error.stack !== undefined) error.stack = clean(error.stack);
  const parts = error as { error?: unknown; body?: unknown };
  if (typeof parts.body === "string") parts.body = clean(parts.body);
  if (typeof parts.error === "object" && parts.error !== null) {
    parts.error = JSON.parse(clean(JSON.stringify(parts.error)));
  }
  return error;
}
