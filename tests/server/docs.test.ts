import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addDocsRoutes } from "../../src/server/docs.ts";
import { startDoors, type Doors } from "../support/doors.ts";

let doors: Doors;
beforeAll(async () => {
  doors = await startDoors({ server: { addRoutes: addDocsRoutes } });
});
afterAll(() => doors.close());

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${doors.httpUrl}${path}`, { headers });

test("serves the committed document", async () => {
  const response = await get("/openapi.json");
  expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
  const file = new URL("../../docs/openapi.json", import.meta.url);
  expect(await response.text()).toBe(await readFile(file, "utf8"));
});

test("serves a page whose parts are all its own", async () => {
  const page = await get("/docs");
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const text = await page.text();
  const parts = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? "");
  expect(parts.join(" ")).toMatch(/\/docs\/swagger-ui-bundle\.[0-9a-f]{16}\.js/);
  for (const path of parts) {
    const part = await get(path);
    expect([path, part.status]).toEqual([path, 200]);
    expect((await part.arrayBuffer()).byteLength).toBeGreaterThan(100);
  }
  expect(await (await get("/docs/")).text()).toBe(text);
});

test("lets the page run nothing but its own scripts", async () => {
  const policy = (await get("/docs")).headers.get("content-security-policy") ?? "";
  const sources = new Map(
    policy.split("; ").map((part) => part.split(/ (.*)/) as [string, string]),
  );
  expect(sources.get("default-src")).toBe("'none'");
  expect(sources.get("script-src")).toBe("'self'");
  expect(sources.get("style-src")).toBe("'self'");
  expect(sources.get("connect-src")).toBe("'self'");
  expect(sources.get("frame-ancestors")).toBe("'none'");
  expect(await (await get("/docs")).text()).not.toMatch(/<script>|<script [^>]*>[^<]|\son\w+=/);
});

/** Where the page finds a part. */
async function addressOf(part: string): Promise<string> {
  const page = await (await get("/docs")).text();
  return new RegExp(`"(/docs/${part}[^"]+)"`).exec(page)?.[1] ?? `no ${part} in the page`;
}

test("names the parts by their content, so that they are kept for a year", async () => {
  const part = await get(await addressOf("swagger-ui-bundle"));
  expect(part.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
  for (const path of ["/docs", "/openapi.json"])
    expect((await get(path)).headers.get("cache-control")).toBe("no-cache");
});

test("has the parts for the page of another version, too, and lets nobody keep them", async () => {
  const current = await addressOf("start");
  const other = await get(current.replace(/[0-9a-f]{16}/, "0123456789abcdef"));
  expect(other.status).toBe(200);
  expect(other.headers.get("cache-control")).toBe("no-cache");
  expect(await other.text()).toBe(await (await get(current)).text());
});

test.each(["start.js", "nothing.0123456789abcdef.js", "../docs.ts", "%2e%2e%2fdocs.ts", "start."])(
  "has no part %s",
  async (name) => {
    const response = await get(`/docs/${name}`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 5 });
  },
);

test("squeezes what can be squeezed, as the browser likes it", async () => {
  const style = await addressOf("swagger-ui");
  const plain = await get(style, { "accept-encoding": "identity" });
  expect(plain.headers.get("content-encoding")).toBeNull();
  const text = await plain.text();
  for (const [accepted, coding] of [
    ["gzip", "gzip"],
    ["gzip, deflate, br, zstd", "br"],
    ["br;q=0, gzip", "gzip"],
  ] as const) {
    const squeezed = await get(style, { "accept-encoding": accepted });
    expect(squeezed.headers.get("content-encoding")).toBe(coding);
    expect(squeezed.headers.get("vary")).toBe("accept-encoding");
    expect(Number(squeezed.headers.get("content-length"))).toBeLessThan(text.length / 4);
    expect(await squeezed.text()).toBe(text);
  }
  const icon = await get(await addressOf("favicon"), { "accept-encoding": "br" });
  expect(icon.headers.get("content-encoding")).toBeNull();
});

test("sends what a browser has again only if it changed", async () => {
  const first = await get("/openapi.json");
  const etag = first.headers.get("etag") ?? "";
  const again = await get("/openapi.json", { "if-none-match": etag });
  expect(again.status).toBe(304);
  expect(await again.text()).toBe("");
});
