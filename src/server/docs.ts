/** The API's document at /openapi.json, and at /docs Swagger UI that shows it. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

const packageFile = createRequire(import.meta.url).resolve("swagger-ui-dist/package.json");
const documentFile = fileURLToPath(new URL("../../docs/openapi.json", import.meta.url));

/** Everything comes from here, nothing is evaluated, nobody frames it. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Tribe API</title>
    <link rel="icon" type="image/png" href="/docs/favicon-32x32.png" />
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="docs"></div>
    <noscript>This page needs JavaScript; <a href="/openapi.json">the document</a> does not.</noscript>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const start = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 3,
  docExpansion: "list",
  filter: true,
  showExtensions: true,
  validatorUrl: null,
});
`;

/** What is served, as it is sent. */
interface Asset {
  readonly type: string;
  readonly etag: string;
  readonly plain: Buffer;
  readonly zipped: Buffer;
}

/** Adds the routes. Nothing is read before it is asked for. */
export function addDocsRoutes(server: FastifyInstance): void {
  const ofPackage = (name: string) => () => readFile(join(dirname(packageFile), name));
  const text = (content: string) => () => Promise.resolve(Buffer.from(content));
  const html = text(page);
  const assets: [path: string, type: string, read: () => Promise<Buffer>][] = [
    ["/openapi.json", "application/json; charset=utf-8", () => readFile(documentFile)],
    ["/docs", "text/html; charset=utf-8", html],
    ["/docs/", "text/html; charset=utf-8", html],
    ["/docs/start.js", "text/javascript; charset=utf-8", text(start)],
    ["/docs/swagger-ui.css", "text/css; charset=utf-8", ofPackage("swagger-ui.css")],
    [
      "/docs/swagger-ui-bundle.js",
      "text/javascript; charset=utf-8",
      ofPackage("swagger-ui-bundle.js"),
    ],
    ["/docs/favicon-32x32.png", "image/png", ofPackage("favicon-32x32.png")],
  ];
  for (const [path, type, read] of assets) {
    let asset: Promise<Asset> | undefined;
    server.get(path, async (request, reply) => {
      asset ??= load(type, read).catch((error: unknown) => {
        asset = undefined;
        throw error;
      });
      return send(await asset, request, reply);
    });
  }
}

async function load(type: string, read: () => Promise<Buffer>): Promise<Asset> {
  const plain = await read();
  const hash = createHash("sha256").update(plain).digest("base64url").slice(0, 22);
  return { type, etag: `W/"${hash}"`, plain, zipped: await promisify(gzip)(plain) };
}

function send(asset: Asset, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const zips = /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));
  reply.headers({
    // Asked about each time, answered with 304: what is shown is never of an older version.
    "cache-control": "no-cache",
    "content-security-policy": contentSecurityPolicy,
    etag: asset.etag,
    "referrer-policy": "no-referrer",
    vary: "accept-encoding",
    "x-content-type-options": "nosniff",
  });
  if (request.headers["if-none-match"]?.includes(asset.etag)) return reply.code(304).send();
  if (zips) reply.header("content-encoding", "gzip");
  return reply.type(asset.type).send(zips ? asset.zipped : asset.plain);
}
