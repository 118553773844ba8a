/** What a server says of its refusal, in its own words. */
export interface Complaint {
  /** Empty: it says nothing that is known for words of its own. */
  message: string;
  type?: string;
  code?: string;
}

interface ErrorBody {
  message?: unknown;
  type?: unknown;
  code?: unknown;
  error?: ErrorBody | string;
  detail?: unknown;
  errors?: unknown;
}

/**
 * Finds message, type and code in `{error: {…}}`, `{…}`, `{error: "…"}`, Google's `[{error: {…}}]`,
 * FastAPI's `{detail: …}` and Cloudflare's `{errors: [{…}]}`. Nothing else of the body: it may repeat what was asked. Undefined: it is not JSON.
 */
export function readComplaint(body: string): Complaint | undefined {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (Array.isArray(json)) json = json[0];
  if (typeof json !== "object" || json === null) return { message: "" };
  const { error, detail, errors } = json as ErrorBody;
  if (typeof error === "string") return { message: error };
  const { message, type, code } = error ?? (json as ErrorBody);
  return {
    message: typeof message === "string" ? message : wordsOf(detail ?? errors),
    ...(typeof type === "string" && { type }),
    ...(typeof code === "string" && { code }),
  };
}

/** Of a text, or of a list of what is wrong, and where, beside what was sent there. */
function wordsOf(detail: unknown): string {
  if (typeof detail === "string") return detail;
  if (!Array.isArray(detail)) return "";
  const faults = detail as ({ loc?: unknown; msg?: unknown; message?: unknown } | null)[];
  return faults
    .flatMap((fault) => {
      const words = fault?.msg ?? fault?.message;
      if (typeof words !== "string") return [];
      return Array.isArray(fault?.loc) ? `${fault.loc.join(".")}: ${words}` : words;
    })
    .join("; ");
}
