/** Recognisable secrets in every secret key, errors everywhere, and no trace of any of them. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ChatService } from "../../gen/tribe/v1/chat_pb.js";
import { makeFolder } from "../support/folder.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { startProgram } from "../support/program.ts";
import {
  type ProviderServer,
  startProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const folder = makeFolder();
const marks = {
  admin: "leak-admin-key-0123456789",
  secret: "leak-secret-key-0123456789-0123456789",
  content: "leak-content-key-0123456789-0123456789",
  jwt: "leak-jwt-secret-0123456789-0123456789",
  openai: "sk-leak-openai-0123456789",
  anthropic: "sk-ant-leak-anthropic-0123456789",
  redis: "leak-redis-password-0123456789",
  password: "leak-wrong-password-0123456789",
  token: "leak.malformed.token-0123456789",
};

let database: TestDatabase;
let redis: TestRedis;
let provider: ProviderServer;
beforeAll(async () => {
  database = await createDatabase();
  redis = await startRedis({ requirepass: marks.redis });
  provider = await startProviderServer();
});
afterAll(async () => {
  await database.close();
  await redis.stop();
  await provider.close();
  folder.remove();
});

function environment(): Record<string, string> {
  return {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url.replace("//", `//:${marks.redis}@`),
    ADMIN_API_KEY: marks.admin,
    SECRET_KEY: marks.secret,
    CONTENT_KEY: marks.content,
    JWT_SECRET: marks.jwt,
    OPENAI_API_KEY: marks.openai,
    OPENAI_BASE_URL: provider.openaiUrl,
    ANTHROPIC_API_KEY: marks.anthropic,
    ANTHROPIC_BASE_URL: provider.url,
    DEFAULT_MODEL: "gpt-4o-mini",
    LOG_LEVEL: "trace",
    TRIBE_DIR: folder.path,
  };
}

/** The same, each secret in a file. */
function inFiles(): Record<string, string> {
  const secret = /^(DATABASE_URL|REDIS_URL|.*_KEY|JWT_SECRET)$/;
  return Object.fromEntries(
    Object.entries(environment()).map(([name, value]) => {
      if (!secret.test(name)) return [name, value];
      const file = join(folder.path, name);
      writeFileSync(file, value);
      return [`${name}_FILE`, file];
    }),
  );
}

/** Every kind of failure that a caller can bring about; gives all that was answered. */
async function provoke(baseUrl: string, grpcAddress: string): Promise<string> {
  const answers: string[] = [];
  const body = JSON.stringify({ content: [{ text: "Hello" }] });
  async function post(path: string, authorization: string, content: string) {
    const answer = await fetch(`${baseUrl}${path}`, {
      method: "POST",
      headers: { authorization, "content-type": "application/json" },
      body: content,
    });
    answers.push(JSON.stringify([...answer.headers]), await answer.text());
    return answer.status;
  }
  const good = `Bearer ${marks.admin}`;
  const paths = ["/api/v1/chat", "/tribe.v1.ChatService/SendMessage"];
  for (const path of paths) {
    provider.script({
      status: 401,
      error: { error: { message: `Incorrect API key provided: ${marks.openai}` } },
    });
    expect(await post(path, good, body)).toBeGreaterThanOrEqual(400);
    expect(await post(path, `Bearer ${marks.token}`, body)).toBe(401);
    expect(await post(path, `Bearer trb_live_${marks.token}`, body)).toBe(401);
    expect(await post(path, good, "{ broken")).toBe(400);
  }
  const signIn = JSON.stringify({ email: "ada@example.org", password: marks.password });
  expect(await post("/api/v1/auth:signIn", "", signIn)).toBe(401);
  for (const key of [marks.admin, marks.token]) {
    provider.script({ status: 401, error: { error: { message: marks.openai } } });
    const transport = createGrpcTransport({
      baseUrl: `http://${grpcAddress}`,
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", `Bearer ${key}`);
          return next(request);
        },
      ],
    });
    const content = [{ part: { case: "text" as const, value: "Hello" } }];
    const failure = await createClient(ChatService, transport)
      .sendMessage({ content })
      .then(() => undefined, ConnectError.from);
    expect(failure?.code).not.toBe(Code.Unknown);
    answers.push(String(failure), JSON.stringify([...(failure?.metadata ?? [])]));
  }
  return answers.join("\n");
}

function expectNoTrace(text: string) {
  const found = Object.entries(marks).filter(([, mark]) => text.includes(mark));
  expect(found.map(([name]) => name)).toEqual([]);
}

test.each([
  ["the environment", environment],
  ["files", inFiles],
])("secrets from %s are in no output, no answer and no process title", async (_, read) => {
  const program = await startProgram(read());
  const title = readFileSync(`/proc/${program.child.pid}/cmdline`, "utf8");
  const name = readFileSync(`/proc/${program.child.pid}/comm`, "utf8");
  const answers = await provoke(program.baseUrl, program.grpcAddress);
  await program.close();
  expect(program.output()).toContain('"msg":"call"');
  expectNoTrace(answers);
  expectNoTrace(program.output());
  expectNoTrace(title + name);
});

test("nor is the password of a database that is not there", async () => {
  const url = "postgres://tribe:leak-wrong-password-0123456789@127.0.0.1:1/tribe";
  const program = await startProgram({ ...environment(), DATABASE_URL: url });
  const answer = await fetch(`${program.baseUrl}/api/v1/conversations`, {
    headers: { authorization: `Bearer ${marks.admin}` },
  });
  const text = await answer.text();
  expect(answer.status).toBe(503);
  await program.close();
  expectNoTrace(text);
  expectNoTrace(program.output());
});
