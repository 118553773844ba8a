/** Cross-origin requests (https://fetch.spec.whatwg.org/#http-cors-protocol). */
import type { IncomingHttpHeaders } from "node:http";

/** Who may call from where. */
export interface CorsOptions {
  /** Origins like `https://app.example.com`, `*` for all, or a function that decides. */
  origins: "*" | readonly string[] | ((origin: string) => boolean);
  /** Request headers that are allowed. Default: those that the browser asks for. */
  allowedHeaders?: readonly string[];
  /** Response headers that scripts may read. */
  exposedHeaders?: readonly string[];
  /** Whether cookies and HTTP authentication may be sent. Not with `*`. Default false. */
  credentials?: boolean;
  /** How long a browser may remember the answer, in seconds. Default 600. */
  maxAgeSeconds?: number;
}

/** Response headers by name. */
export type HeaderRecord = Record<string, string>;

/** The headers that CORS adds. */
export interface Cors {
  /** For every response. */
  headers(request: IncomingHttpHeaders): HeaderRecord;
  /** Whether an OPTIONS asks what another request may do. */
  isPreflight(request: IncomingHttpHeaders): boolean;
  /** For the answer to a preflight, whose path has these HTTP methods. */
  preflight(request: IncomingHttpHeaders, methods: readonly string[]): HeaderRecord;
}

/** Compiles CORS options. Throws an Error if they contradict each other. */
export function createCors(options: CorsOptions): Cors {
  const { origins, allowedHeaders, exposedHeaders, credentials = false } = options;
  if (origins === "*" && credentials) {
    throw new Error("fastifyRest: cors.credentials needs a list of origins");
  }
  const allows = (origin: string): boolean => {
    if (origins === "*") return true;
    return typeof origins === "function" ? origins(origin) : origins.includes(origin);
  };
  const headers = (request: IncomingHttpHeaders): HeaderRecord => {
    const result: HeaderRecord = origins === "*" ? {} : { vary: "Origin" };
    const { origin } = request;
    if (origin === undefined || !allows(origin)) return result;
    result["access-control-allow-origin"] = origins === "*" ? "*" : origin;
    if (credentials) result["access-control-allow-credentials"] = "true";
    if (exposedHeaders !== undefined && exposedHeaders.length > 0) {
      result["access-control-expose-headers"] = exposedHeaders.join(", ");
    }
    return result;
  };
  return {
    headers,
    isPreflight: (request) =>
      request.origin !== undefined && request["access-control-request-method"] !== undefined,
    preflight(request, methods) {
      const result = headers(request);
      if (result["access-control-allow-origin"] === undefined) return result;
      const asked = request["access-control-request-headers"];
      const allowed = allowedHeaders?.join(", ") ?? asked;
      result["access-control-allow-methods"] = methods.join(", ");
      if (allowed !== undefined) result["access-control-allow-headers"] = allowed;
      if (allowedHeaders === undefined && asked !== undefined) {
        result["vary"] = [result["vary"], "Access-Control-Request-Headers"]
          .filter(Boolean)
          .join(", ");
      }
      result["access-control-max-age"] = String(options.maxAgeSeconds ?? 600);
      return result;
    },
  };
}
