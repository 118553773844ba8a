/** Mounts the transcoder on Fastify. */
import type { IncomingMessage } from "node:http";
import { Code } from "@connectrpc/connect";
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from "fastify";
import { collectMethods } from "../rpc/invoke.ts";
import { sendError, type Serving } from "./call.ts";
import { createCors } from "./cors.ts";
import { compileEndpoint, type Endpoint } from "./endpoint.ts";
import { HttpError, invalidArgument, quote } from "./errors.ts";
import { withDefaults, type RestOptions } from "./options.ts";
import { decodePercent } from "./percent.ts";
import { createRouter } from "./router.ts";
import { collectRules } from "./rule.ts";
import { compileErrorWriter } from "./status.ts";
import { serveRequestStream, serveResponseStream } from "./streaming.ts";
import { serveUnary } from "./unary.ts";

/** Where a request's own URL is kept while Fastify sees a stand-in. */
const ownUrl = Symbol("fastifyRest.url");
type RequestWithUrl = IncomingMessage & { [ownUrl]?: string };

/**
 * A Fastify plugin that serves the `google.api.http` routes of Connect services.
 *
 *     await server.register(fastifyRest, { routes, interceptors });
 *
 * Fastify's own, more specific routes go before; every other path below the
 * prefix is the transcoder's. Throws at start-up if a rule is wrong.
 */
export async function fastifyRest(instance: FastifyInstance, options: RestOptions): Promise<void> {
  const settings = withDefaults(options);
  const serving: Serving = { settings, writeError: compileErrorWriter(settings.registry) };
  const cors = options.cors === undefined ? undefined : createCors(options.cors);
  const invocables = collectMethods(options.routes, options.interceptors);
  const byMethod = new Map(invocables.map((invocable) => [invocable.method, invocable]));
  const rules = collectRules([...byMethod.keys()]);
  const router = createRouter<Endpoint>(
    rules.flatMap((rule) => {
      const invocable = byMethod.get(rule.method);
      if (invocable === undefined) return [];
      const target = compileEndpoint(rule, invocable, settings);
      return [{ httpMethod: rule.httpMethod, template: rule.template, target }];
    }),
  );

  for (const { httpMethod } of rules) {
    const known = httpMethod === "*" || instance.supportedMethods.includes(httpMethod);
    if (!known) instance.addHttpMethod(httpMethod, { hasBody: true });
  }
  // Bodies are read by the endpoint that knows what they are.
  instance.removeAllContentTypeParsers();
  // (JSON is named beside all others because Fastify finds it faster so.)
  instance.addContentTypeParser("application/json", (_request, _payload, done) => done(null));
  instance.addContentTypeParser("*", (_request, _payload, done) => done(null));
  instance.setErrorHandler((error, request, reply) => {
    sendError(asHttpError(error), { request, reply }, serving);
  });
  keepMalformedUrls(instance);

  const prefixLength = instance.prefix === "/" ? 0 : instance.prefix.length;
  const handler = (request: FastifyRequest, reply: FastifyReply): void => {
    const url = (request.raw as RequestWithUrl)[ownUrl] ?? request.raw.url ?? "/";
    const { path, query } = splitUrl(url, prefixLength);
    if (cors !== undefined) reply.headers(cors.headers(request.headers));
    const malformed = malformedSegment(path);
    if (malformed !== undefined) {
      const problem = `malformed percent-encoding, or not UTF-8: ${quote(malformed)}`;
      sendError(invalidArgument("path", problem), { request, reply }, serving);
      return;
    }
    const match =
      router.match(request.method, path) ??
      (request.method === "HEAD" ? router.match("GET", path) : undefined);
    if (match === undefined) {
      const allowed = allowedMethods(router.allowedMethods(path));
      if (request.method === "OPTIONS" && allowed.length > 0) {
        reply.headers(cors?.preflight(request.headers, allowed) ?? {});
        reply.code(204).header("allow", allowed.join(", ")).send();
        return;
      }
      sendError(noRoute(request.method, path, allowed), { request, reply }, serving);
      return;
    }
    const call = {
      request,
      reply,
      endpoint: match.target,
      segments: match.segments,
      query,
    };
    switch (match.target.rule.method.methodKind) {
      case "unary":
        serveUnary(call, serving);
        break;
      case "client_streaming":
        void serveRequestStream(call, serving);
        break;
      default:
        void serveResponseStream(call, serving);
    }
  };
  instance.route({
    method: [...instance.supportedMethods] as HTTPMethods[],
    url: "/*",
    exposeHeadRoute: false,
    handler,
  });
}

/** Path and query of a request target, both raw. */
function splitUrl(url: string, prefixLength: number): { path: string; query: string } {
  let target = url;
  if (target.charCodeAt(0) !== 47) target = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "");
  const hash = target.indexOf("#");
  if (hash !== -1) target = target.slice(0, hash);
  const mark = target.indexOf("?");
  if (mark === -1) return { path: target.slice(prefixLength), query: "" };
  return { path: target.slice(prefixLength, mark), query: target.slice(mark + 1) };
}

function malformedSegment(path: string): string | undefined {
  if (!path.includes("%")) return undefined;
  return path.split("/").find((segment) => decodePercent(segment) === undefined);
}

/**
 * Fastify answers malformed escapes before any route sees them. It is given a
 * well-formed path instead, and the endpoint the one that was sent.
 */
function keepMalformedUrls(instance: FastifyInstance): void {
  const standIn = `${instance.prefix === "/" ? "" : instance.prefix}/malformed`;
  instance.server.prependListener("request", (raw: RequestWithUrl) => {
    const url = raw.url ?? "/";
    if (!url.includes("%")) return;
    const { path } = splitUrl(url, 0);
    if (!path.startsWith(instance.prefix) || malformedSegment(path) === undefined) return;
    raw[ownUrl] = url;
    raw.url = standIn;
  });
}

function allowedMethods(methods: readonly string[]): string[] {
  const allowed = new Set(methods);
  if (allowed.size === 0) return [];
  if (allowed.delete("*")) {
    for (const method of ["DELETE", "GET", "PATCH", "POST", "PUT"]) allowed.add(method);
  }
  if (allowed.has("GET")) allowed.add("HEAD");
  allowed.add("OPTIONS");
  return [...allowed].sort();
}

function noRoute(method: string, path: string, allowed: readonly string[]): HttpError {
  if (allowed.length === 0) {
    return new HttpError(404, Code.NotFound, `there is no ${method} ${path}`);
  }
  const allow = allowed.join(", ");
  const message = `${method} is not allowed for ${path}: use ${allow}`;
  return new HttpError(405, Code.Unimplemented, message, { allow });
}

/** Fastify's own failures carry a status of theirs. */
function asHttpError(error: unknown): unknown {
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode === undefined || statusCode >= 500) return error;
  const code = statusCode === 413 ? Code.ResourceExhausted : Code.InvalidArgument;
  return new HttpError(statusCode, code, message ?? "bad request");
}
