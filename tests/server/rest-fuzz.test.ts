/** Thousands of random and spoilt requests to every REST route of Tribe: nothing breaks, nothing is left. */
import { expect, it } from "vitest";
import * as admin from "../../gen/tribe/v1/admin_pb.js";
import * as chat from "../../gen/tribe/v1/chat_pb.js";
import * as conversation from "../../gen/tribe/v1/conversation_pb.js";
import * as health from "../../gen/tribe/v1/health_pb.js";
import * as identity from "../../gen/tribe/v1/identity_pb.js";
import * as usage from "../../gen/tribe/v1/usage_pb.js";
import { collectRules } from "../../src/rest/index.ts";
import { fuzz } from "../rest/fuzz/fuzz.ts";
import { watchProcess } from "../rest/fuzz/watch.ts";
import { startApp, type TestApp } from "../support/app.ts";

const services = [
  admin.AdminService,
  chat.ChatService,
  conversation.ConversationService,
  health.HealthService,
  identity.IdentityService,
  usage.UsageService,
];

/** Ids of a conversation, its run and its messages, of a user and of a key. */
async function makeResources({ baseUrl, key }: TestApp): Promise<string[]> {
  const post = async (path: string, body: object): Promise<string> => {
    const response = await fetch(`${baseUrl}/api/v1/${path}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        connection: "close",
      },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    return response.text();
  };
  const answers = [
    await post("chat", { content: [{ text: "Hello" }] }),
    await post("users", { email: "subject@example.com", role: "ROLE_USER" }),
    await post("api-keys", { name: "fuzz" }),
  ];
  const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
  return [...new Set(answers.join(" ").match(uuid))];
}

it("answers whatever comes", { timeout: 3_600_000 }, async () => {
  const watched = watchProcess();
  const app = await startApp();
  const report = await fuzz({
    port: Number(new URL(app.baseUrl).port),
    rules: collectRules(services.flatMap(({ methods }) => methods)),
    headers: [["authorization", `Bearer ${app.key}`]],
    ids: await makeResources(app),
  });
  const failures = app.log.filter(
    ({ level, code }) => ["error", "fatal"].includes(String(level)) || code === "internal",
  );
  await app.close();
  expect({ ...report, failures }).toMatchObject({ faults: [], failures: [] });
  expect(await watched.faults()).toEqual([]);
  for (const status of [200, 400, 401, 404, 405, 415]) {
    expect(report.statuses).toHaveProperty(String(status));
  }
});
