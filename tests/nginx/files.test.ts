/** The real nginx in front of an instance that serves files plain, and says little of them. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type OutgoingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { brotliModule, call, startEdge, type TestEdge } from "../support/nginx.ts";

const content = "body { margin: 0; }\n".repeat(200);
const year = "public, max-age=31536000, immutable";

let instance: Server;
let instances: string[];
let edge: TestEdge;
let headers: OutgoingHttpHeaders;

beforeAll(async () => {
  instance = createServer((_, response) => response.writeHead(200, headers).end(content));
  await once(instance.listen(0, "127.0.0.1"), "listening");
  const { port } = instance.address() as AddressInfo;
  instances = [`127.0.0.1:${port}:${port}`];
  edge = await startEdge(instances);
});
afterAll(async () => {
  await edge?.close();
  instance?.close();
});

describe("a name that changes with its content is kept for a year", () => {
  test.each([
    ["/console/assets/app-1a2b3c4d.js", {}, year],
    ["/docs/style.0123456789abcdef.css", {}, year],
    ["/console/assets/app-1a2b3c4d.js", { "cache-control": "no-cache" }, "no-cache"],
    ["/console/assets/app.js", {}, undefined],
    ["/console/assets/my-component.js", {}, undefined],
    ["/api/v1/models", {}, undefined],
  ])("%s with %o: %s", async (path, said, expected) => {
    headers = said;
    expect((await call(edge, path)).headers["cache-control"]).toBe(expected);
  });
});

describe("what is sent plain is squeezed", () => {
  async function codingOf(at: TestEdge, accepted: string) {
    headers = { "content-type": "text/css; charset=utf-8" };
    const answer = await call(at, "/style.css", { headers: { "accept-encoding": accepted } });
    return { coding: answer.headers["content-encoding"], vary: answer.headers["vary"] };
  }

  test("as gzip", async () => {
    expect(await codingOf(edge, "gzip")).toEqual({ coding: "gzip", vary: "Accept-Encoding" });
    expect((await codingOf(edge, "identity")).coding).toBeUndefined();
  });

  test.runIf(existsSync(brotliModule))("as br, with the module", async () => {
    const squeezing = await startEdge(instances, { EDGE_ENABLE: "brotli" });
    expect((await codingOf(squeezing, "gzip, br")).coding).toBe("br");
    expect((await codingOf(squeezing, "gzip")).coding).toBe("gzip");
    await squeezing.close();
  });
});
