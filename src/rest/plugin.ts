/** Mounts the transcoder on Fastify. */
import { METHODS, type IncomingMessage } from "node:http";
import { Code } from "@connectrpc/connect";
import type { FastifyInstance, HTTPMethods } from "fastify";
import { collectMethods } from "../rpc/invoke.ts";
import { sendError, type Exchange, type Serving } from "./call.ts";
import { createCors, type Cors } from "./cors.ts";
import { compileEndpoint, type Endpoint } from "./endpoint.ts";
import { fromFastify, HttpError, invalidArgument, quote } from "./errors.ts";
import { withDefaults, type RestOptions } from "./options.ts";
import { createRouter, type Router } from "./router.ts";
import { collectRules } from "./rule.ts";
import { compileErrorWriter } from "./status.ts";
import { serveRequestStream, serveResponseStream } from "./streaming.ts";
import { serveUnary } from "./unary.ts";
import { malformedSegment, splitUrl } from "./url.ts";

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
  const serving: Serving = {
    settings,
    writeError: compileErrorWriter(settings.registry),
    findRead: (path) => router.match("GET", path),
  };
  const cors = settings.cors === undefined ? undefined : createCors(settings.cors);

  const methods = new Set(rules.map(({ httpMethod }) => httpMethod));
  // CONNECT has no path, and no request of that method reaches a handler.
  for (const method of methods.delete("*") ? METHODS : methods) {
    if (method === "CONNECT" || instance.supportedMethods.includes(method)) continue;
    instance.addHttpMethod(method, { hasBody: true });
  }
  // Bodies are read by the endpoint, which knows what they are.
  instance.removeAllContentTypeParsers();
  // (JSON is named beside all others because Fastify finds it faster so.)
  instance.addContentTypeParser("application/json", (_request, _payload, done) => done(null));
  instance.addContentTypeParser("*", (_request, _payload, done) => done(null));
  instance.setErrorHandler((error, request, reply) => {
    sendError(fromFastify(error), { request, reply }, serving);
  });
  keepMalformedUrls(instance);

  const prefixLength = instance.prefix === "/" ? 0 : instance.prefix.length;
  instance.route({
    method: [...instance.supportedMethods] as HTTPMethods[],
    url: "/*",
    exposeHeadRoute: false,
    handler(request, reply) {
      const url = (request.raw as RequestWithUrl)[ownUrl] ?? request.raw.url ?? "/";
      const { path, query } = splitUrl(url, prefixLength);
      dispatch(path, query, { request, reply }, router, serving, cors);
    },
  });
}

/** Finds the endpoint of a request and serves it. Never throws. */
function dispatch(
  path: string,
  query: string,
  exchange: Exchange,
  router: Router<Endpoint>,
  serving: Serving,
  cors: Cors | undefined,
): void {
  const { request, reply } = exchange;
  const { method, headers } = request;
  if (cors !== undefined) {
    reply.headers(cors.headers(headers));
    if (method === "OPTIONS" && cors.isPreflight(headers)) {
      const allowed = allowedMethods(router.allowedMethods(path));
      reply.code(204).headers(cors.preflight(headers, allowed)).send();
      return;
    }
  }
  const malformed = malformedSegment(path);
  if (malformed !== undefined) {
    const problem = `malformed percent-encoding, or not UTF-8: ${quote(malformed)}`;
    sendError(invalidArgument("path", problem), exchange, serving);
    return;
  }
  const match =
    router.match(method, path) ?? (method === "HEAD" ? router.match("GET", path) : undefined);
  if (match === undefined) {
    const allowed = allowedMethods(router.allowedMethods(path));
    if (method === "OPTIONS" && allowed.length > 0) {
      reply.code(204).header("allow", allowed.join(", ")).send();
    } else {
      sendError(noRoute(method, path, allowed), exchange, serving);
    }
    return;
  }
  const { target: endpoint, segments } = match;
  const call = { request, reply, endpoint, path, segments, query };
  switch (endpoint.rule.method.methodKind) {
    case "unary":
      serveUnary(call, serving);
      break;
    case "client_streaming":
      void serveRequestStream(call, serving);
      break;
    default:
      void serveResponseStream(call, serving);
  }
}

/**
 * Fastify answers malformed escapes before any route sees them. It is given a
 * well-formed path instead, and the endpoint the one that was sent.
 */
function keepMalformedUrls(instance: FastifyInstance): void {
  const prefix = instance.prefix === "/" ? "" : instance.prefix;
  instance.server.prependListener("request", (raw: RequestWithUrl) => {
    const url = raw.url ?? "/";
    if (!url.includes("%")) return;
    const { path } = splitUrl(url);
    if (!path.startsWith(`${prefix}/`) || malformedSegment(path) === undefined) return;
    raw[ownUrl] = url;
    raw.url = `${prefix}/malformed`;
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
    return new HttpError(404, Code.NotFound, `there is no ${method} ${quote(path)}`);
  }
  const allow = allowed.join(", ");
  const message = `${method} is not allowed for ${quote(path)}: use ${allow}`;
  return new HttpError(405, Code.Unimplemented, message, { allow });
}
