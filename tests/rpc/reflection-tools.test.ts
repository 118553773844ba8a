/**
 * The tools that people use with reflection, on a whole service. `buf` comes with npm; `grpcurl`
 * is tried where it is on the PATH, as in CI.
 */
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApp, type TestApp } from "../support/app.ts";

let app: TestApp;
let silent: TestApp;
beforeAll(async () => {
  [app, silent] = await Promise.all([startApp(), startApp({ GRPC_REFLECTION: "off" })]);
});
afterAll(async () => {
  await Promise.all([app?.close(), silent?.close()]);
});

async function run(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args);
  return stdout;
}
const linesOf = (text: string) => text.trim().split("\n").sort();
const authorization = () => `authorization: Bearer ${app.key}`;
const question = JSON.stringify({ content: [{ text: "Hello" }] });

const services = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "tribe.v1.AdminService",
  "tribe.v1.ChatService",
  "tribe.v1.ConversationService",
  "tribe.v1.HealthService",
  "tribe.v1.IdentityService",
  "tribe.v1.UsageService",
];
const chatMethods = [
  "tribe.v1.ChatService/CancelRun",
  "tribe.v1.ChatService/GetRun",
  "tribe.v1.ChatService/ListModels",
  "tribe.v1.ChatService/ResumeRun",
  "tribe.v1.ChatService/SendMessage",
  "tribe.v1.ChatService/StreamMessage",
];

describe.each(["grpc-v1", "grpc-v1alpha"])("buf curl by %s", (version) => {
  const buf = (...args: string[]) =>
    run(
      "node_modules/.bin/buf",
      "curl",
      "--protocol=grpc",
      "--http2-prior-knowledge",
      `--reflect-protocol=${version}`,
      ...args,
    );

  test("lists services and methods", async () => {
    const url = `http://${app.grpcAddress}`;
    expect(linesOf(await buf("--list-services", url))).toEqual(services);
    expect(linesOf(await buf("--list-methods", url))).toEqual(expect.arrayContaining(chatMethods));
  });

  test("calls, and follows a stream", async () => {
    const call = (method: string) =>
      buf(
        "--header",
        authorization(),
        "--data",
        question,
        `http://${app.grpcAddress}/tribe.v1.ChatService/${method}`,
      );
    expect(JSON.parse(await call("SendMessage"))).toMatchObject({ model: "demo" });
    const told = await call("StreamMessage");
    expect(told).toContain('"runStarted"');
    expect(told).toContain('"completed"');
  });

  test("finds nothing where it is switched off", async () => {
    await expect(buf("--list-services", `http://${silent.grpcAddress}`)).rejects.toThrow(
      /unimplemented|reflection/i,
    );
  });
});

const hasGrpcurl = spawnSync("grpcurl", ["-version"]).status === 0;
describe.each(hasGrpcurl ? ["grpcurl"] : [])("%s", (grpcurl) => {
  test("lists services and methods", async () => {
    const list = (...args: string[]) =>
      run(grpcurl, "-plaintext", app.grpcAddress, "list", ...args);
    expect(linesOf(await list())).toEqual(services);
    expect(linesOf(await list("tribe.v1.ChatService"))).toEqual(
      chatMethods.map((name) => name.replace("/", ".")),
    );
  }, 30_000);

  test("describes everything", async () => {
    const describeIt = (...args: string[]) =>
      run(grpcurl, "-plaintext", app.grpcAddress, "describe", ...args);
    const all = await describeIt();
    for (const service of services) expect(all).toContain(`${service} is a service`);
    for (const [symbol, kind, words] of [
      ["tribe.v1.ChatService", "service", 'post: "/api/v1/chat"'],
      ["tribe.v1.ChatService.SendMessage", "method", "tribe.v1.SendMessageRequest"],
      ["tribe.v1.SendMessageRequest", "message", "(.buf.validate.field)"],
      ["tribe.v1.SendMessageRequest.model", "field", "model"],
      ["tribe.v1.CacheMode", "enum", "CACHE_MODE_BYPASS"],
      ["tribe.v1.policy", "extension", "google.protobuf.MethodOptions"],
      ["google.rpc.BadRequest", "message", "FieldViolation"],
    ] as const) {
      const told = await describeIt(symbol);
      expect(told).toMatch(new RegExp(`^${symbol} is an? ${kind}`));
      expect(told).toContain(words);
    }
  }, 30_000);

  test("calls, follows a stream, and shows the details of errors", async () => {
    const call = (method: string, data = question) =>
      run(grpcurl, "-plaintext", "-H", authorization(), "-d", data, app.grpcAddress, method);
    expect(JSON.parse(await call("tribe.v1.ChatService/SendMessage"))).toMatchObject({
      model: "demo",
    });
    expect(await call("tribe.v1.ChatService/StreamMessage")).toContain('"completed"');
    expect(await call("grpc.health.v1.Health/Check", "{}")).toContain("SERVING");
    const failure = await call("tribe.v1.ChatService/SendMessage", "{}").catch(
      (error: unknown) => (error as { stderr: string }).stderr,
    );
    expect(failure).toContain("Code: InvalidArgument");
    expect(failure).toContain('"field": "content"');
  }, 30_000);

  test("finds nothing where it is switched off, nor on the port that is for everybody", async () => {
    const list = (address: string) =>
      run(grpcurl, "-plaintext", "-max-time", "5", "-connect-timeout", "5", address, "list");
    await expect(list(silent.grpcAddress)).rejects.toThrow("reflection");
    await expect(list(new URL(app.baseUrl).host)).rejects.toThrow(/Failed/);
  }, 30_000);
});
