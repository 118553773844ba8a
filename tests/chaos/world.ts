/** The servers that all drills of a run share, and the services and users of one drill. */
import { once } from "node:events";
import { connect } from "node:net";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/tribe/v1/admin_pb.js";
import { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import { UsageService } from "../../gen/tribe/v1/usage_pb.js";
import { entities } from "../../src/entities.ts";
import { createPostgres } from "../../src/postgres/postgres.ts";
import { connectClients } from "../support/clients.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import type { DrillRules } from "./facts.ts";
import type { UserClients } from "./operator.ts";
import type { UserName } from "./plan.ts";
import { type DrillPostgres, startPostgres } from "./postgres-server.ts";
import { type DrillProvider, startProvider } from "./provider.ts";
import { createService, type DrillService } from "./service.ts";

/** What outlives a drill. */
export interface World {
  postgres: DrillPostgres;
  redis: TestRedis;
  provider: DrillProvider;
  /** Empties Redis. */
  forgetRedis(): Promise<void>;
  stop(): Promise<void>;
}

const administratorKey = "administrator-of-the-drills";

/** Its files are in this folder. */
export async function startWorld(folder: string): Promise<World> {
  const [postgres, redis, provider] = await Promise.all([
    startPostgres(folder),
    startRedis({ appendonly: "yes", appendfsync: "everysec" }),
    startProvider(),
  ]);
  return {
    postgres,
    redis,
    provider,
    async forgetRedis() {
      const socket = connect(redis.port, "127.0.0.1");
      socket.write("FLUSHALL\r\n");
      await once(socket, "data");
      socket.destroy();
    },
    async stop() {
      await Promise.all([provider.stop(), redis.stop(), postgres.end(false)]);
    },
  };
}

/** The users of every drill; the ids are theirs in each database. */
export const users: Record<UserName, string> = {
  free: "01980000-0000-7000-8000-000000000001",
  limited: "01980000-0000-7000-8000-000000000002",
  budgeted: "01980000-0000-7000-8000-000000000003",
};

const rules: Omit<DrillRules, "budget"> = {
  inputPrice: 10,
  outputPrice: 40,
  bucket: { capacity: 4, refillPerSecond: 0.1 },
  concurrentRuns: 3,
};
const budget = 12_000;

/** What one drill runs on. */
export interface Stage {
  databaseUrl: string;
  services: readonly [DrillService, DrillService];
  clients: UserClients;
  rules: DrillRules;
  verifyAudit(): Promise<{ valid: boolean; problem: string }>;
}

/** Makes a database and starts two services on it. `folder`: for logs. */
export async function setStage(world: World, name: string, folder: string): Promise<Stage> {
  mkdirSync(folder, { recursive: true });
  const databaseUrl = await world.postgres.createDatabase(name);
  await world.forgetRedis();
  await fillDatabase(databaseUrl);
  const modelsFile = join(folder, "models.json");
  writeFileSync(modelsFile, JSON.stringify(models));
  const environment = {
    DATABASE_URL: databaseUrl,
    REDIS_URL: world.redis.url,
    ADMIN_API_KEY: administratorKey,
    OPENAI_API_KEY: "sk-drill",
    OPENAI_BASE_URL: `${world.provider.url}/v1`,
    ANTHROPIC_API_KEY: "sk-drill",
    ANTHROPIC_BASE_URL: world.provider.url,
    MODELS_FILE: modelsFile,
    TRIBE_DIR: join(folder, "tribe"),
    RUN_LEASE: "2",
    SHUTDOWN_TIMEOUT: "3",
    LOG_LEVEL: "debug",
  };
  const services = await Promise.all([
    createService("one", folder, environment),
    createService("two", folder, environment),
  ]);
  for (const service of services) service.start();
  const deadline = Date.now() + 60_000;
  await Promise.all(services.map((service) => service.untilReady(deadline)));
  const administrator = administratorOf(services[0]);
  const hasBudget = await setBudget(administrator);
  return {
    databaseUrl,
    services,
    clients: await makeClients(services, administrator),
    rules: { ...rules, budget: hasBudget ? budget : undefined },
    verifyAudit: async () => administratorOf(services[0]).admin.verifyAuditLog({}),
  };
}

const price = {
  inputMicros: rules.inputPrice * 1_000_000,
  outputMicros: rules.outputPrice * 1_000_000,
};
/** Impatient, so that a provider that hangs is given up within a drill. */
const models = {
  priceVersion: "drill",
  models: [
    {
      model: "drill",
      deployments: [
        { provider: "openai", model: "drill-one", order: 0 },
        { provider: "anthropic", model: "drill-two", order: 1 },
      ],
      contextTokens: 100_000,
      maxOutputTokens: 400,
      firstTokenMs: 1000,
      idleMs: 1000,
      price,
    },
  ],
};

async function fillDatabase(url: string): Promise<void> {
  const { capacity, refillPerSecond } = rules.bucket;
  const limits = {
    users: {
      [users.limited]: {
        chat: { perMinute: refillPerSecond * 60, burst: capacity },
        concurrentRuns: rules.concurrentRuns,
      },
    },
  };
  const postgres = await createPostgres({ url, entities, poolSize: 1 });
  await postgres.work(async (em) => {
    for (const id of Object.values(users))
      await em.execute("insert into users (id, role) values (?, 'user')", [id]);
    await em.execute("insert into settings (name, value) values ('limits', ?::jsonb)", [
      JSON.stringify(limits),
    ]);
  });
  await postgres.close();
}

function administratorOf({ baseUrl }: DrillService) {
  const withKey: Interceptor = (next) => (request) => {
    request.header.set("x-api-key", administratorKey);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    interceptors: [withKey],
  });
  return {
    admin: createClient(AdminService, transport),
    identity: createClient(IdentityService, transport),
    usage: createClient(UsageService, transport),
  };
}

type Administrator = ReturnType<typeof administratorOf>;

/** False: this service keeps no budgets. */
async function setBudget({ usage }: Administrator): Promise<boolean> {
  const request = { userId: users.budgeted, budget: { dailyMicros: BigInt(budget) } };
  return usage.setBudget(request).then(
    () => true,
    () => false,
  );
}

async function makeClients(
  services: readonly [DrillService, DrillService],
  { identity }: Administrator,
): Promise<UserClients> {
  const makePair = async (userId: string) => {
    const { secret } = await identity.createApiKey({ name: "drill", userId });
    const clientsOf = ({ baseUrl }: DrillService) => connectClients({ baseUrl, key: secret });
    return [clientsOf(services[0]), clientsOf(services[1])] as const;
  };
  return {
    free: await makePair(users.free),
    limited: await makePair(users.limited),
    budgeted: await makePair(users.budgeted),
  };
}
