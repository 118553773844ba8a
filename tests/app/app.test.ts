import { afterAll, beforeAll, expect, test } from "vitest";
import { startApp, type TestApp } from "../support/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

test("answers a message for whoever has the key, and nobody else", async () => {
  const send = (headers: Record<string, string>) =>
    fetch(`${app.baseUrl}/api/v1/chat`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: '{"content":[{"text":"Hello"}]}',
    });
  const answer = await send({ authorization: `Bearer ${app.key}` });
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({
    provider: "demo",
    assistantMessage: { status: "MESSAGE_STATUS_COMPLETED" },
  });
  expect((await send({})).status).toBe(401);
  expect((await send({ "x-api-key": "another" })).status).toBe(401);
});
