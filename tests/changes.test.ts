/** Hearing of changes while the database is away. */
import { expect, onTestFinished, test } from "vitest";
import { createChanges } from "../src/changes.ts";
import { createLogger } from "../src/telemetry/logger.ts";
import { until } from "./support/eventually.ts";

test("a database that is away has one line, however often it is asked, and one when it is back", async () => {
  const lines: string[] = [];
  const logger = createLogger({
    destination: { write: (line) => void lines.push(line) },
  });
  const changes = createChanges({ redis: undefined, logger });
  onTestFinished(() => changes.close());
  let isAway = true;
  let asked = 0;
  changes.listen({
    changed: () => undefined,
    missed: () => undefined,
    async poll() {
      asked += 1;
      if (isAway) throw new Error("the database does not answer");
      return [];
    },
  });
  const told = () =>
    lines.map((line) => {
      const { level, msg } = JSON.parse(line) as Record<string, unknown>;
      return [level, msg];
    });
  const outage = [
    ["warn", "the database cannot be asked for changes"],
    ["info", "the database can be asked for changes again"],
  ];

  changes.start();
  await until(() => asked >= 4);
  expect(told()).toEqual(outage.slice(0, 1));
  isAway = false;
  const before = asked;
  await until(() => asked >= before + 3);
  expect(told()).toEqual(outage);
  isAway = true;
  await until(() => told().length > 2);
  expect(told()).toEqual([...outage, outage[0]]);
});
