/** A process of the REST bench: one way to serve the things, measured from outside. */
import type { AddressInfo } from "node:net";
import { create, fromJson, toJson, type JsonValue, type Message } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import fastify from "fastify";
import { fastifyRest } from "../src/rest/index.ts";
import { createThingService, pathOf, thing, type Thing } from "./rest-service.ts";

const [kind = "", count = ""] = process.argv.slice(2);
const routeCount = Number(count);
const service = createThingService(routeCount);
const desc = service.methods[0]?.output;
if (desc === undefined) throw new Error("no method");
const server = fastify();

/** What every variant does: a GET makes the thing, a POST gives it back, changed. */
const get = ({ name }: Thing): Thing => ({ ...thing, name });
const set = (request: Thing): Thing => ({ ...request, count: request.count + 1 });

const routes = (router: ConnectRouter): void => {
  for (const method of service.methods) {
    const handler = method.name.startsWith("Get") ? get : set;
    router.rpc(method, handler as never);
  }
};

switch (kind) {
  case "transcoder":
    await server.register(fastifyRest, { routes });
    break;
  case "connect":
    await server.register(fastifyConnectPlugin, { routes });
    break;
  case "by-hand":
    for (let index = 0; index < routeCount; index++) {
      server.get(pathOf(index, ":name"), async ({ params }) => get(params as Thing));
      server.post(pathOf(index, ":name"), async ({ params, body }) =>
        set({ ...(body as Thing), ...(params as Thing) }),
      );
    }
    break;
  case "by-hand-protobuf":
    for (let index = 0; index < routeCount; index++) {
      server.get(pathOf(index, ":name"), async ({ params }) =>
        toJson(desc, create(desc, get(params as Thing) as never)),
      );
      server.post(pathOf(index, ":name"), async ({ params, body }) => {
        const request = fromJson(desc, body as JsonValue) as Message & Thing;
        request.name = (params as Thing).name;
        return toJson(desc, create(desc, set(request) as never));
      });
    }
    break;
  default:
    throw new Error(`no such variant: ${kind}`);
}

await server.listen({ host: "127.0.0.1", port: 0 });
process.on("message", () => process.send?.(process.cpuUsage()));
process.on("disconnect", () => process.exit());
process.send?.((server.server.address() as AddressInfo).port);
