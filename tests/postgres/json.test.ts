import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { toJsonb, toText } from "../../src/postgres/json.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

const roundTrip = {
  name: "test_json",
  text: "select ($1::jsonb)::text, $2::text",
};

/** Any text, half of it with what PostgreSQL refuses. */
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("\0", "\ud83d", "\ude00", "\\", "u0000", "d800", '"', "a") }),
);

const mended = (value: string) => value.toWellFormed().replaceAll("\0", "\uFFFD");

test("any JSON is stored, with U+FFFD for what jsonb cannot hold", async () => {
  await fc.assert(
    fc.asyncProperty(text, text, async (key, value) => {
      const json = { [key]: [value, { value }, 1, true, null] };
      const [row] = await database.postgres.run(roundTrip, [toJsonb(json), toText(value)]);
      expect(JSON.parse(row?.[0] ?? "")).toEqual({
        [mended(key)]: [mended(value), { value: mended(value) }, 1, true, null],
      });
      expect(row?.[1]).toBe(mended(value));
    }),
    { numRuns: 300 },
  );
});

test("what can be stored is left as it is", () => {
  const value = [{ text: "a \\u0000 \u{1f600} \u2028" }];
  expect(toJsonb(value)).toBe(JSON.stringify(value));
});
