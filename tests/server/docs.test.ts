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
  expect(parts).toContain("/docs/swagger-ui-bundle.js");
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

test("sends what a browser has again only if it changed, and squeezed if it may", async () => {
  const first = await get("/docs/swagger-ui.css", { "accept-encoding": "gzip" });
  expect(first.headers.get("content-encoding")).toBe("gzip");
  const plain = await get("/docs/swagger-ui.css", { "accept-encoding": "identity" });
  expect(plain.headers.get("content-encoding")).toBeNull();
  expect(await plain.text()).toBe(await first.text());
  const etag = first.headers.get("etag") ?? "";
  const again = await get("/docs/swagger-ui.css", { "if-none-match": etag });
  expect(again.status).toBe(304);
  expect(await again.text()).toBe("");
});
