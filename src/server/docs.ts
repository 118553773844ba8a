/** The API's document at /openapi.json, and at /docs Swagger UI that shows it. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FastifyInstance } from "fastify";
import { type Asset, createAsset, hashedName, sendAsset } from "./assets.ts";

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

const javascript = "text/javascript; charset=utf-8";
const ofPackage = (name: string) => () => readFile(join(dirname(packageFile), name));

/** What the page is made of, by its name without the hash. */
const parts: readonly [name: string, type: string, read: () => Promise<Buffer>][] = [
  ["favicon-32x32.png", "image/png", ofPackage("favicon-32x32.png")],
  ["swagger-ui.css", "text/css; charset=utf-8", ofPackage("swagger-ui.css")],
  ["swagger-ui-bundle.js", javascript, ofPackage("swagger-ui-bundle.js")],
  ["start.js", javascript, () => Promise.resolve(Buffer.from(start))],
];

/** The page, with the addresses of its parts in their order. */
function pageOf([icon, style, ...scripts]: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Tribe API</title>
    <link rel="icon" type="image/png" href="${icon}" />
    <link rel="stylesheet" href="${style}" />
  </head>
  <body>
    <div id="docs"></div>
    <noscript>This page needs JavaScript; <a href="/openapi.json">the document</a> does not.</noscript>
    ${scripts.map((script) => `<script src="${script}"></script>`).join("\n    ")}
  </body>
</html>
`;
}

/** The page, and its parts by their names without the hash. */
interface Docs {
  readonly page: Asset;
  readonly parts: ReadonlyMap<string, Asset>;
}

async function loadDocs(): Promise<Docs> {
  const loaded = await Promise.all(
    parts.map(async ([name, type, read]) => [name, createAsset(type, await read())] as const),
  );
  const addresses = loaded.map(([name, asset]) => `/docs/${hashedName(name, asset)}`);
  const page = createAsset("text/html; charset=utf-8", Buffer.from(pageOf(addresses)));
  return { page, parts: new Map(loaded) };
}

/** Adds the routes. Nothing is read before it is asked for, and then once. */
export function addDocsRoutes(server: FastifyInstance): void {
  const docs = once(loadDocs);
  const openapi = once(async () =>
    createAsset("application/json; charset=utf-8", await readFile(documentFile)),
  );

  server.get("/openapi.json", async (request, reply) =>
    sendAsset(await openapi(), "asked", request, reply),
  );
  for (const path of ["/docs", "/docs/"])
    server.get(path, async (request, reply) => {
      reply.header("content-security-policy", contentSecurityPolicy);
      return sendAsset((await docs()).page, "asked", request, reply);
    });
  server.get<{ Params: { file: string } }>("/docs/:file", async (request, reply) => {
    const [, stem, hash, extension] =
      /^(.+)\.([0-9a-f]{16})(\.\w+)$/.exec(request.params.file) ?? [];
    const asset = (await docs()).parts.get(`${stem}${extension}`);
    if (asset === undefined) return reply.callNotFound();
    // During an update the page of one instance may ask another one, of another version, for its
    // parts: that one answers with what it has, and nobody keeps it.
    return sendAsset(asset, hash === asset.hash ? "immutable" : "asked", request, reply);
  });
}

/** Loads at the first call, and again only if that failed. */
function once<Value>(load: () => Promise<Value>): () => Promise<Value> {
  let loaded: Promise<Value> | undefined;
  return () =>
    (loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error;
    }));
}
