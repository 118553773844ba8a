/** The running service is held to its document. */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { documentFile } from "../../src/openapi.ts";
import type { Document } from "../../src/openapi/index.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { inOrder, operationsOf, remember, requestOf, type Known } from "./support/calls.ts";
import type { PlacedOperation } from "./support/calls.ts";
import { createSchemaChecker } from "./support/schema-checker.ts";

const document = JSON.parse(await readFile(documentFile, "utf8")) as Document;
const operations = inOrder(operationsOf(document));
const checker = createSchemaChecker(document);
const known: Known = new Map();

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  known.set("userId", await createUser());
});
afterAll(() => app.close());

/**
 * Whom the examples are about. Not the administrator who calls: that one has no password to set
 * and cannot be erased.
 */
async function createUser(): Promise<string> {
  const response = await fetch(`${app.baseUrl}/api/v1/users`, {
    method: "POST",
    headers: { ...bearer(), "content-type": "application/json" },
    body: JSON.stringify({ email: "subject@example.com", role: "ROLE_USER" }),
  });
  const { user } = (await response.json()) as { user: { userId: string } };
  return user.userId;
}

/** What is wrong with an answer, by the document. */
async function faultsOf(place: PlacedOperation, response: Response): Promise<string[]> {
  const { operation } = place;
  const status = operation.responses[response.status] ? String(response.status) : "default";
  const documented = pointerTo(place, status);
  const type = response.headers.get("content-type")?.split(";")[0] ?? "none";
  const content = contentAt(documented);
  const text = await response.text();
  if ("*/*" in content) return [];
  if (!(type in content)) return [`${response.status} is ${type}: ${text}`];
  const schema = `${documented}/content/${type.replaceAll("/", "~1")}/schema`;
  const values = valuesOf(type, text);
  if (values.length === 0) return [`${response.status} is empty`];
  for (const value of values) remember(known, value);
  return values.flatMap((value) => checker.faults(schema, value));
}

function pointerTo({ path, method, operation }: PlacedOperation, status: string): string {
  const response = operation.responses[status];
  if (response !== undefined && "$ref" in response) return response.$ref.slice(1);
  const place = path.replaceAll("/", "~1");
  return `/paths/${place}/${method.toLowerCase()}/responses/${status}`;
}

function contentAt(pointer: string): object {
  let value: unknown = document;
  for (const part of pointer.slice(1).split("/")) {
    value = (value as Record<string, unknown>)[part.replaceAll("~1", "/")];
  }
  return (value as { content: object }).content;
}

/** One value, or those of a stream. */
function valuesOf(type: string, text: string): unknown[] {
  const lines = text.split("\n").filter((line) => line !== "");
  switch (type) {
    case "application/x-ndjson":
      return lines.map((line) => JSON.parse(line) as unknown);
    case "text/event-stream":
      return lines
        .filter((line) => line.startsWith("data: "))
        .map((line) => JSON.parse(line.slice(6)) as unknown);
    default:
      return [JSON.parse(text)];
  }
}

/** Content types of the answer to ask for: each once. */
function accepted({ operation }: PlacedOperation): string[] {
  const success = operation.responses["200"];
  return success && "content" in success ? Object.keys(success.content ?? {}) : [];
}

it("is served with this document", async () => {
  const response = await fetch(`${app.baseUrl}/openapi.json`);
  expect(await response.json()).toEqual(document);
  expect((await fetch(`${app.baseUrl}/docs`)).status).toBe(200);
});

const named = (place: PlacedOperation) => `${place.method} ${place.path}`;
const bearer = () => ({ authorization: `Bearer ${app.key}` });

const calls = operations.flatMap((place) =>
  accepted(place).map((accept) => [named(place), accept, place] as const),
);
async function answersItsExample(_: string, accept: string, place: PlacedOperation) {
  const { target, init } = requestOf(place, known);
  const headers = { ...init.headers, ...bearer(), accept };
  const response = await fetch(`${app.baseUrl}${target}`, { ...init, headers });
  const faults = await faultsOf(place, response);
  expect({ status: response.status, faults }).toEqual({ status: 200, faults: [] });
}
const [deleting, others] = [true, false].map((deletes) =>
  calls.filter(([, , { method }]) => (method === "DELETE") === deletes),
);
it.each(others ?? [])("%s answers its example with the documented %s", answersItsExample);

const conditions = { "If-None-Match": ["*", 304], "If-Match": [`"another"`, 412] } as const;
const conditional = operations.flatMap((place) =>
  (place.operation.parameters ?? []).flatMap(({ name }) =>
    name in conditions ? [[named(place), name as keyof typeof conditions, place] as const] : [],
  ),
);
it.each(conditional)("%s keeps to %s", async (_, name, place) => {
  const { target, init } = requestOf(place, known);
  const [value, status] = conditions[name];
  const headers = { ...init.headers, ...bearer(), [name]: value };
  const response = await fetch(`${app.baseUrl}${target}`, { ...init, headers });
  expect(response.status).toBe(status);
  expect(Object.keys(place.operation.responses)).toContain(String(status));
});

it.each(deleting ?? [])("%s answers its example with the documented %s", answersItsExample);

const secured = operations
  .filter(({ operation }) => operation.security?.length !== 0)
  .map((place) => [named(place), place] as const);
it.each(secured)("%s refuses whoever has no key", async (_, place) => {
  const { target, init } = requestOf(place, known);
  const response = await fetch(`${app.baseUrl}${target}`, init);
  expect(response.status).toBe(401);
  expect(await faultsOf(place, response)).toEqual([]);
});
