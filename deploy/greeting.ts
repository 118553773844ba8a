/** What a newcomer is told when `docker compose up` has brought everything up. */
import { readFileSync } from "node:fs";

const url = (process.argv[2] ?? "https://localhost").replace(/:443$/, "");
const key = readFileSync("/run/secrets/admin-api-key", "utf8").trim();
const trust = "--cacert secrets/edge/certificate.pem";
const bearer = `-H "authorization: Bearer ${key}"`;
const json = `-H "content-type: application/json"`;
// A question of its own at each door: the same one again would be answered from the cache.
const body = (door: string) => `-d '{"content":[{"text":"Hello by ${door}"}]}'`;

process.stdout.write(`
Tribe is ready.
  REST, Connect, gRPC-Web, gRPC  ${url}
  documentation                  ${url}/docs
  certificate                    secrets/edge/certificate.pem (made for localhost; put your own there)

REST:
  curl ${trust} ${bearer} ${json} ${body("REST")} ${url}/api/v1/chat
Connect JSON:
  curl ${trust} ${bearer} ${json} ${body("Connect")} ${url}/tribe.v1.ChatService/SendMessage
gRPC:
  npx @bufbuild/buf curl ${trust} --schema proto --protocol grpc ${bearer} ${body("gRPC")} ${url}/tribe.v1.ChatService/SendMessage
`);
