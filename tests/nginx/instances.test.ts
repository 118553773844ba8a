/** The real nginx in front of instances that come and go. */
import { once } from "node:events";
import { createServer as createHttp1Server, type Server } from "node:http";
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
} from "node:http2";
import { type AddressInfo, connect as connectSocket } from "node:net";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { credentials, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startLoad } from "../../deploy/load.ts";
import { ChatService, ListModelsRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import { until } from "../support/eventually.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { call, instanceOf, startEdge, type TestEdge } from "../support/nginx.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { freePort, startRedis, type TestRedis } from "../support/redis.ts";

/** `npm run drill:restart -- --times 10` wants more. */
const restarts = Number(process.env["RESTARTS"] ?? 3);

describe("two processes", () => {
  const key = "administrator-behind-the-edge";
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const body = JSON.stringify({ content: [{ text: "Hello" }] });
  let database: TestDatabase;
  let redis: TestRedis;
  let provider: ProviderServer;
  let edge: TestEdge;
  /** A place of an instance: its ports, and the process that is there now. */
  interface Place {
    instance: string;
    program: TestProgram;
    start(): Promise<TestProgram>;
  }
  let places: Place[] = [];

  async function makePlace(): Promise<Place> {
    const environment = {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      ADMIN_API_KEY: key,
      SECRET_KEY: "a secret of the tests that is long enough",
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: provider.openaiUrl,
      HTTP_PORT: String(await freePort()),
      GRPC_PORT: String(await freePort()),
      METRICS_PORT: "off",
    };
    const start = () => startProgram(environment);
    const program = await start();
    return { program, start, instance: instanceOf(program) };
  }

  beforeAll(async () => {
    provider = await startProviderServer({
      reply: { text: ["one ", "two ", "three"], delayMs: 40 },
    });
    [database, redis] = await Promise.all([createDatabase(), startRedis()]);
    places = await Promise.all([makePlace(), makePlace()]);
    const instances = places.map(({ instance }) => instance);
    edge = await startEdge(instances, { EDGE_KEEPALIVE: "2" });
  });
  afterAll(async () => {
    await edge?.close();
    await Promise.all(places.map(({ program }) => program.close()));
    await Promise.all([database?.close(), redis?.stop(), provider?.close()]);
  });

  test("both are used; one is killed and nobody notices; it is used again when it is back", async () => {
    const ask = () =>
      Promise.all([
        call(edge, "/api/v1/chat", { headers, body }),
        call(edge, "/api/v1/models", { headers }),
        call(edge, "/tribe.v1.ChatService/ListModels", { headers, body: "{}" }),
      ]);
    const usedPorts = () =>
      new Set(
        edge
          .accessLog()
          .slice(-12)
          .map(({ upstream }) => String(upstream).split(":").at(-1)),
      );
    const statuses: number[] = [];
    const askOften = async () => {
      for (let round = 0; round < 4; round += 1)
        statuses.push(...(await ask()).map(({ status }) => status));
    };
    await askOften();
    expect(usedPorts().size).toBe(2);

    const [killed] = places as [Place];
    const gone = once(killed.program.child, "exit");
    killed.program.child.kill("SIGKILL");
    await gone;
    await askOften();
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(statuses).toHaveLength(24);

    killed.program = await killed.start();
    const port = new URL(killed.program.baseUrl).port;
    await until(async () => {
      await ask();
      return edge.accessLog().some(({ upstream }, index, lines) => {
        return index > lines.length - 4 && upstream === `127.0.0.1:${port}`;
      });
    });
  }, 90_000);

  test("a connection that is made during a reload is given up by the old worker that has it", async () => {
    const { hostname, port } = new URL(edge.url);
    const socket = connectSocket(Number(port), hostname);
    await once(socket, "connect");
    // Only now it says what it wants: nobody could tell it that the worker is about to end.
    await edge.reload({});
    const secure = connectTls({
      socket,
      ca: edge.authority,
      servername: "localhost",
      ALPNProtocols: ["h2"],
    });
    const session = connectHttp2(edge.url, { createConnection: () => secure });
    let isGivenUp = false;
    session.on("goaway", () => (isGivenUp = true));
    expect(edge.hasOldWorkers()).toBe(true);
    const statuses: unknown[] = [];
    await until(async () => {
      if (isGivenUp) return true;
      const stream = session.request({ ":path": "/api/v1/models", ...headers });
      const [answer] = (await once(stream, "response")) as [IncomingHttpHeaders];
      statuses.push(answer[":status"]);
      await text(stream);
      return isGivenUp;
    });
    expect(new Set(statuses)).toEqual(new Set([200]));
    await until(() => !edge.hasOldWorkers());
    session.close();
  });

  test(
    "they are replaced in turn under load, and no request and no stream is lost",
    async () => {
      const load = startLoad({
        url: edge.url,
        authority: edge.authority,
        key,
        callers: 2,
        pauseMs: 50,
      });
      const before = { ...load.report };
      const callsBefore = provider.calls;
      for (let restart = 0; restart < restarts; restart += 1) {
        const place = places[restart % places.length]!;
        const others = places.filter((other) => other !== place);
        await edge.reload({ EDGE_APPS: others.map(({ instance }) => instance).join(" ") });
        // The old workers give up what they have once it is two seconds old.
        await until(() => !edge.hasOldWorkers());
        await place.program.close();
        place.program = await place.start();
        await edge.reload({ EDGE_APPS: places.map(({ instance }) => instance).join(" ") });
        const seen = { ...load.report };
        await until(
          () => load.report.streams > seen.streams + 2 && load.report.turns > seen.turns + 2,
        );
      }
      const report = await load.stop();
      expect(report.failures).toEqual([]);
      for (const kind of ["turns", "reads", "streams", "grpcCalls"] as const)
        expect(report[kind]).toBeGreaterThan(before[kind] + 5);
      // All were generated while instances came and went; none was there at once, from the cache.
      expect(provider.calls - callsBefore).toBeGreaterThanOrEqual(report.turns + report.streams);
    },
    60_000 * restarts,
  );
});

describe("an instance that takes a request and breaks", () => {
  let http1: Server[] = [];
  let http2: Http2Server[] = [];
  let edge: TestEdge;
  /** What reached either instance. */
  const received: string[] = [];

  beforeAll(async () => {
    const portOf = async (server: Server | Http2Server) => {
      await once(server.listen(0, "127.0.0.1"), "listening");
      return (server.address() as AddressInfo).port;
    };
    http1 = [1, 2].map(() =>
      createHttp1Server((incoming) => {
        received.push(`${incoming.method} ${incoming.url}`);
        incoming.resume().on("end", () => incoming.socket.destroy());
      }),
    );
    http2 = [1, 2].map(() =>
      createHttp2Server().on("stream", (stream, headers) => {
        received.push(`gRPC ${headers[":path"]}`);
        stream.session?.destroy();
      }),
    );
    const [a, b, c, d] = await Promise.all([...http1, ...http2].map(portOf));
    edge = await startEdge([`127.0.0.1:${a}:${c}`, `127.0.0.1:${b}:${d}`]);
  });
  afterAll(async () => {
    await edge?.close();
    for (const server of [...http1, ...http2]) server.close();
  });

  test("gets no turn again, on no door", async () => {
    const turn = await call(edge, "/api/v1/chat", { body: "{}" });
    expect(turn.status).toBe(502);
    expect(JSON.parse(turn.body)).toMatchObject({
      code: 14,
      message: "no instance answered; try again",
      details: [{ reason: "UNAVAILABLE" }, { requestId: turn.headers["x-request-id"] }, {}],
    });
    const client = createGrpcClient(
      ChatService,
      edge.address,
      { "grpc.enable_retries": 0 },
      credentials.createSsl(Buffer.from(edge.authority)),
    );
    const error = await new Promise<ServiceError | null>((resolve) => {
      client["ListModels"]!(create(ListModelsRequestSchema), resolve);
    });
    client.close();
    expect(error).toMatchObject({ code: 14, details: "no instance answered; try again" });
    expect(received).toEqual(["POST /api/v1/chat", "gRPC /tribe.v1.ChatService/ListModels"]);
  });

  test("what only reads is asked of the next one", async () => {
    received.length = 0;
    await call(edge, "/api/v1/models");
    expect(received).toEqual(["GET /api/v1/models", "GET /api/v1/models"]);
  });
});
