import { execFile } from "node:child_process";
import { expect, test } from "vitest";
import { createLogger, type LoggerOptions } from "../../src/telemetry/logger.ts";

function record(options: LoggerOptions = {}) {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { lines, logger: createLogger({ destination: { write }, ...options }) };
}

test("writes JSON lines with level, time and message", () => {
  const { lines, logger } = record();
  const before = Date.now();
  logger.info({ door: "rest" }, "call");
  expect(lines).toEqual([
    { level: "info", time: expect.any(String) as string, door: "rest", msg: "call" },
  ]);
  const [{ time } = {}] = lines;
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Date.parse(String(time))).toBeGreaterThanOrEqual(before);
});

test("writes nothing below its level", () => {
  const { lines, logger } = record({ level: "warn" });
  logger.info("quiet");
  logger.warn("loud");
  expect(lines).toMatchObject([{ level: "warn", msg: "loud" }]);
});

test.each([
  "authorization",
  "Authorization",
  "x-api-key",
  "apiKey",
  "OPENAI_API_KEY",
  "cookie",
  "set-cookie",
  "password",
  "userPassword",
  "accessToken",
  "refresh_token",
  "token",
  "clientSecret",
  "JWT_SECRET",
  "DATABASE_URL",
])("never writes what is called %s, at any depth", (key) => {
  const { lines, logger } = record();
  const secret = "hunter2";
  const failure = Object.assign(new Error("refused", { cause: new Error("deep") }), {
    request: { headers: { [key]: secret } },
  });
  logger.info({ [key]: secret, nested: { list: [{ [key]: secret }] }, err: failure }, "call");
  expect(JSON.stringify(lines)).not.toContain(secret);
  expect(lines).toMatchObject([
    { [key]: "[redacted]", nested: { list: [{ [key]: "[redacted]" }] }, err: { type: "Error" } },
  ]);
});

test("leaves counts and ids alone, and what was logged as it was", () => {
  const { lines, logger } = record();
  const facts = { inputTokens: 3, outputTokens: 5, apiKeyId: "0198", nested: { password: "x" } };
  logger.info(facts, "call");
  expect(lines).toMatchObject([{ inputTokens: 3, outputTokens: 5, apiKeyId: "0198" }]);
  expect(facts.nested.password).toBe("x");
});

test("writes an error with its stack and its causes", () => {
  const { lines, logger } = record();
  logger.error({ err: new TypeError("outer", { cause: new Error("inner") }) }, "failed");
  const [{ err } = {}] = lines as { err?: { type: string; message: string; stack: string } }[];
  expect(err).toMatchObject({ type: "TypeError", message: "outer: inner" });
  expect(err?.stack).toContain("caused by: Error: inner");
});

test.each(["", "process.exit(3)", "throw new Error('x')"])(
  "writes to standard output what was logged before the end: %s",
  async (end) => {
    const module = new URL("../../src/telemetry/logger.ts", import.meta.url);
    const script = `import { createLogger } from "${module}";
      const logger = createLogger({ pretty: false });
      logger.info({ door: "rest" }, "first"); logger.error("last"); ${end}`;
    const output = await new Promise<string>((resolve) => {
      const { execPath } = process;
      execFile(execPath, ["--input-type=module", "--eval", script], (_error, stdout) =>
        resolve(stdout),
      );
    });
    const lines = output.trim().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      "first",
      "last",
    ]);
  },
);
