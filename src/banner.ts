import type { App } from "./app.ts";
import type { Config } from "./config.ts";
import type { ServerPorts } from "./server/server.ts";

/** What a newcomer is told when everything runs: where the doors are and how to knock. */
export function banner(
  { http, providers, identity, postgres, directory }: Config,
  { madeAdminApiKey, defaultModel, defaultProvider }: App,
  { httpPort, grpcPort, metricsPort }: ServerPorts,
): string {
  const host = http.host === "0.0.0.0" || http.host === "::" ? "localhost" : http.host;
  const key = madeAdminApiKey ?? (identity.adminApiKey ? "$ADMIN_API_KEY" : "");
  const demo = !providers.openai && !providers.anthropic;
  const bearer = `-H "authorization: Bearer ${key}"`;
  const json = `-H "content-type: application/json"`;
  // A question of its own at each door: the same one again would be answered from the cache.
  const body = (door: string) => `-d '{"content":[{"text":"Hello by ${door}"}]}'`;
  return `
Tribe is ready.
  REST, Connect, gRPC-Web  http://${host}:${httpPort}
  gRPC                     ${host}:${grpcPort}
  documentation            http://${host}:${httpPort}/docs
  metrics                  ${metricsPort === undefined ? "off" : `http://${host}:${metricsPort}/metrics`}
  answers by default       ${defaultModel} (${defaultProvider})${demo ? ": set OPENAI_API_KEY or ANTHROPIC_API_KEY for a real model" : ""}
  data                     ${postgres.url === undefined ? directory : "the database of DATABASE_URL"}

REST:
  curl ${bearer} ${json} ${body("REST")} http://${host}:${httpPort}/api/v1/chat
Connect JSON:
  curl ${bearer} ${json} ${body("Connect")} http://${host}:${httpPort}/tribe.v1.ChatService/SendMessage
gRPC:
  npx buf curl --protocol grpc --http2-prior-knowledge ${bearer} ${body("gRPC")} http://${host}:${grpcPort}/tribe.v1.ChatService/SendMessage
`;
}
