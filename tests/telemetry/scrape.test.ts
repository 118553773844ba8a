/** What a service that has served calls tells its scraper. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
import { startServedApp, type ServedApp } from "../support/served-app.ts";

let app: ServedApp;
beforeAll(async () => {
  app = await startServedApp();
});
afterAll(() => app?.close());

test("calls by RPC, door and code; what met no RPC under one name", async () => {
  const { value, text } = await scrape(app.metricsUrl);
  const count = (rpc: string, door: string, code: string) =>
    value("rpc_server_call_duration_seconds_count", {
      rpc_method: rpc,
      rpc_response_status_code: code,
      door,
    });
  expect(count("tribe.v1.ChatService/SendMessage", "rest", "OK")).toBe(2);
  expect(count("tribe.v1.ChatService/SendMessage", "grpc", "OK")).toBe(1);
  expect(count("tribe.v1.ChatService/SendMessage", "rest", "UNAUTHENTICATED")).toBe(1);
  expect(count("tribe.v1.ChatService/StreamMessage", "rest", "OK")).toBe(1);
  expect(count("_OTHER", "rest", "NOT_FOUND") ?? count("_OTHER", "http", "NOT_FOUND")).toBe(1);
  expect(text).not.toContain("/api/v1/nothing");
  expect(
    value("rpc_server_call_duration_seconds_sum", {
      rpc_method: "tribe.v1.ChatService/SendMessage",
    }),
  ).toBeGreaterThan(0);
});

test("tokens, cost, speed and states of runs, by models of the catalogue only", async () => {
  const { value, text } = await scrape(app.metricsUrl);
  const labels = { model: app.model, provider: "openai" };
  expect(value("tribe_tokens_total", { ...labels, kind: "input" })).toBe(120);
  expect(value("tribe_tokens_total", { ...labels, kind: "cached_input" })).toBe(30);
  expect(value("tribe_tokens_total", { ...labels, kind: "output" })).toBe(9);
  expect(value("tribe_tokens_total", { model: "other", kind: "output" })).toBe(3);
  // Three runs at 0.15, 0.075 and 0.60 dollars a million tokens, each rounded to a millionth.
  const cost = (kind: string) => value("tribe_cost_dollars_total", { ...labels, kind })!;
  expect(cost("input") / cost("output")).toBeCloseTo((40 * 0.15) / (3 * 0.6));
  expect(cost("cached_input") / cost("output")).toBeCloseTo((10 * 0.075) / (3 * 0.6));
  expect([cost("cache_write"), cost("reasoning")]).toEqual([0, 0]);
  expect(value("tribe_cost_dollars_total", labels)).toBeCloseTo(3 * 9e-6);
  expect(value("tribe_unpriced_runs_total", { model: "other" })).toBe(1);
  expect(value("tribe_runs_total", { ...labels, state: "completed" })).toBe(3);
  expect(value("tribe_runs_total", { ...labels, state: "failed" })).toBe(1);
  expect(text).not.toContain("one-of-my-own");

  const genAi = {
    gen_ai_operation_name: "chat",
    gen_ai_provider_name: "openai",
    gen_ai_request_model: app.model,
  };
  const input = { ...genAi, gen_ai_token_type: "input" };
  expect(value("gen_ai_client_token_usage_sum", input)).toBe(150);
  expect(value("gen_ai_client_token_usage_count", input)).toBe(3);
  expect(value("gen_ai_server_time_to_first_token_seconds_count", genAi)).toBe(3);
  expect(value("gen_ai_server_time_per_output_token_seconds_count", genAi)).toBe(3);
  expect(value("tribe_output_tokens_per_second_count", labels)).toBe(3);
  expect(value("gen_ai_client_operation_duration_seconds_count", genAi)).toBe(4);
});

test("calls to deployments and the state of their circuits", async () => {
  const { value, text } = await scrape(app.metricsUrl);
  expect(value("tribe_provider_attempts_total", { provider: "openai", reason: "OK" })).toBe(4);
  expect(text).toMatch(/tribe_provider_attempts_total\{.*reason="PROVIDER_[A-Z_]+"\} 1/);
  expect(value("tribe_circuit_state", { model: app.model, state: "closed" })).toBe(1);
  expect(value("tribe_circuit_state", { model: app.model, state: "open" })).toBe(0);
});

test("active users are counted without their ids, once each", async () => {
  await eventually(async () => {
    const { value } = await scrape(app.metricsUrl);
    expect(value("tribe_active_users", { window: "5m" })).toBe(1);
    expect(value("tribe_active_users", { window: "1d" })).toBe(1);
  });
  const users = await app.database.sql<{ id: string }>("select id from users");
  const { text } = await scrape(app.metricsUrl);
  expect(users.length).toBeGreaterThan(0);
  for (const { id } of users) expect(text).not.toContain(id);
  expect(text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-7/);
});

test("the engines, the process and the machine", async () => {
  const { value } = await scrape(app.metricsUrl);
  expect(value("tribe_ready")).toBe(1);
  expect(value("tribe_component_status", { component: "postgres", status: "ok" })).toBe(1);
  expect(value("db_client_connection_count")).toBeGreaterThan(0);
  expect(value("db_client_connection_max", { db_client_connection_pool_name: "postgresql" })).toBe(
    10,
  );
  expect(value("db_client_connection_pending_requests")).toBe(0);
  expect(value("tribe_redis_connected")).toBe(1);
  expect(value("tribe_redis_failed_commands_total")).toBeGreaterThanOrEqual(0);
  expect(value("tribe_limits_decisions_total", { decision: "admitted" })).toBeGreaterThan(0);
  expect(value("tribe_overload_refusals_total", { rate_class: "chat" })).toBe(0);
  const others = [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "tribe_memory_limit_bytes",
    "process_open_fds",
    "process_max_fds",
    "nodejs_heap_size_used_bytes",
    "system_cpu_logical_count",
    "system_memory_limit_bytes",
    "system_memory_available_bytes",
    "system_filesystem_limit_bytes",
    "system_filesystem_available_bytes",
  ];
  expect(others.filter((name) => !(value(name)! > 0))).toEqual([]);
  expect(value("nodejs_eventloop_utilization_ratio")).toBeLessThanOrEqual(1);
});

test("Prometheus' text and OpenMetrics have the same series, compressed or not", async () => {
  const plain = await scrape(app.metricsUrl);
  const open = await scrape(app.metricsUrl, "application/openmetrics-text;version=1.0.0");
  expect(plain.contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(open.contentType).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
  expect(open.text.endsWith("\n# EOF\n")).toBe(true);
  expect([...open.names].sort()).toEqual([...plain.names].sort());
  const response = await fetch(app.metricsUrl, { headers: { "accept-encoding": "gzip" } });
  expect(response.headers.get("content-encoding")).toBe("gzip");
  expect(await response.text()).toContain("tribe_ready 1");
});

test("promtool complains of nothing but two names that OpenTelemetry gives", async () => {
  const { text } = await scrape(app.metricsUrl);
  const { stdout, stderr, error } = spawnSync("promtool", ["check", "metrics"], { input: text });
  expect(error).toBeUndefined();
  const complaints = `${stdout}${stderr}`.trim().split("\n");
  expect(complaints.map((line) => line.split(" ", 1)[0])).toEqual([
    "db_client_connection_count",
    "system_cpu_logical_count",
  ]);
});

test("the port has nothing but /metrics, and the public port has no /metrics", async () => {
  const other = await fetch(app.metricsUrl.replace("/metrics", "/health"));
  expect(other.status).toBe(404);
  const post = await fetch(app.metricsUrl, { method: "POST", body: "x" });
  expect(post.status).toBe(405);
  expect(post.headers.get("allow")).toBe("GET, HEAD");
  const head = await fetch(app.metricsUrl, { method: "HEAD" });
  expect(head.status).toBe(200);
  expect((await fetch(`${app.baseUrl}/metrics`)).status).toBe(404);
});
