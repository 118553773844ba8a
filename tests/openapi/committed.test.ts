import { readFile } from "node:fs/promises";
import { Validator } from "@seriousme/openapi-schema-validator";
import { beforeAll, expect, it } from "vitest";
import { describeApi, documentFile } from "../../src/openapi.ts";
import type { Document, Operation } from "../../src/openapi/index.ts";
import { createSchemaChecker, type SchemaChecker } from "./support/schema-checker.ts";

let text: string;
let document: Document;
let checker: SchemaChecker;
beforeAll(async () => {
  text = await readFile(documentFile, "utf8");
  document = JSON.parse(text) as Document;
  checker = createSchemaChecker(document);
});

it("is what `npm run openapi` writes", async () => {
  expect(text).toBe(await describeApi());
});

it("is valid OpenAPI 3.1", async () => {
  const validator = new Validator();
  const result = await validator.validate({ ...document });
  expect(result).toEqual({ valid: true });
  expect(validator.version).toBe("3.1");
});

it("says of every operation what it is for and who may call it", () => {
  const operations = Object.values(document.paths).flatMap(
    (item) => Object.values(item) as Operation[],
  );
  const unclear = operations.filter(
    ({ summary, security, "x-permission": permission }) =>
      !summary || !security || (security.length === 0) !== (permission === undefined),
  );
  expect(unclear).toEqual([]);
  expect(operations.length).toBeGreaterThan(30);
});

it("shows only examples that keep to their schemas", () => {
  const faults: string[] = [];
  const visit = (value: unknown, pointer: string): void => {
    if (typeof value !== "object" || value === null) return;
    const { schema, example, examples } = value as Record<string, unknown>;
    if (schema !== undefined && example !== undefined) {
      faults.push(...checker.faults(`${pointer}/schema`, example));
    }
    if (Array.isArray(examples)) {
      for (const one of examples) faults.push(...checker.faults(pointer, one));
    }
    for (const [key, child] of Object.entries(value)) {
      if (key === "example" || key === "examples") continue;
      visit(child, `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`);
    }
  };
  visit(document, "");
  expect(faults).toEqual([]);
});
