/** What a transcoder can be told. */
import type { JsonWriteOptions, Registry } from "@bufbuild/protobuf";
import { Code, ConnectError, type ContextValues, type Interceptor } from "@connectrpc/connect";
import type { FastifyRequest } from "fastify";
import type { Routes } from "../rpc/invoke.ts";
import type { CorsOptions } from "./cors.ts";

/** Options of the plugin. Only `routes` is required. */
export interface RestOptions {
  /** Registers handlers, as for `createConnectRouter`. */
  routes: Routes;
  /** Around every call; the first one is the outermost. */
  interceptors?: Interceptor[];
  /** The largest request body, sent or decompressed; in a client stream the largest message. Default 16 MiB. */
  maxRequestBytes?: number;
  /** The deadline of calls that bring none, in milliseconds. Default: none. */
  defaultTimeoutMs?: number;
  /** The longest deadline that a client may set; longer ones are cut. Default: any. */
  maxTimeoutMs?: number;
  /**
   * Turns whatever was thrown into the error that the caller sees. Called for
   * every error, also the transcoder's own. Default: a ConnectError stays as it
   * is, anything else is logged and becomes "internal error".
   */
  mapError?: (error: unknown, request: FastifyRequest) => ConnectError;
  /** Types for google.protobuf.Any, extensions, and details of errors. */
  registry?: Registry;
  /** Query parameters to pass over. A name that ends in `*` means all that so begin: `utm_*`. */
  ignoredQueryParameters?: readonly string[];
  /** Lets browsers call from other origins. Default: off. */
  cors?: CorsOptions;
  /** Pause after which an SSE stream gets a comment. Default 15,000. */
  keepAliveMs?: number;
  /** How messages are written as JSON. Default: fields with default values are omitted. */
  jsonOptions?: Partial<Omit<JsonWriteOptions, "registry">>;
  /** Context values of a call. */
  contextValues?: (request: FastifyRequest) => ContextValues;
  /** The smallest response that is compressed for clients that accept it. Default 1024. */
  compressMinBytes?: number;
  /** Whether event streams (SSE, NDJSON) are compressed too, each event by itself. Default false. */
  compressStreams?: boolean;
}

/** Options with their defaults. */
export type RestSettings = Required<
  Omit<RestOptions, "routes" | "interceptors" | keyof OptionalSettings>
> &
  OptionalSettings;

type OptionalSettings = Pick<
  RestOptions,
  "cors" | "registry" | "contextValues" | "defaultTimeoutMs"
>;

/** Fills in the defaults. Throws an Error for a limit that makes no sense. */
export function withDefaults(options: RestOptions): RestSettings {
  const settings: RestSettings = {
    maxRequestBytes: 16 * 1024 * 1024,
    maxTimeoutMs: Number.POSITIVE_INFINITY,
    mapError,
    ignoredQueryParameters: [],
    keepAliveMs: 15_000,
    jsonOptions: {},
    compressMinBytes: 1024,
    compressStreams: false,
    ...options,
  };
  for (const name of ["maxRequestBytes", "maxTimeoutMs", "keepAliveMs"] as const) {
    if (!(settings[name] > 0)) throw new Error(`fastifyRest: ${name} must be greater than 0`);
  }
  return settings;
}

function mapError(error: unknown, request: FastifyRequest): ConnectError {
  if (error instanceof ConnectError) return error;
  request.log.error({ err: error }, "a handler failed");
  return new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}
