/** The whole Tribe, as `npm start` makes it, on a database of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApp, type App } from "../../src/app.ts";
import { readConfig, type Environment } from "../../src/config.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { createDatabase, type TestDatabase } from "./postgres.ts";

/** A running Tribe. */
export interface TestApp {
  /** REST, Connect and gRPC-Web: `http://127.0.0.1:port`. */
  baseUrl: string;
  /** gRPC without TLS: `127.0.0.1:port`. */
  grpcAddress: string;
  /** `/metrics`. */
  metricsUrl: string;
  /** The administrator's API key. */
  key: string;
  database: TestDatabase;
  /** What was logged, in order. */
  log: Record<string, unknown>[];
  /** Ends it and drops its database. */
  close(): Promise<void>;
}

const withoutAnswerCache = `insert into settings (name, value) values ('answerCacheSeconds', '0')`;

/**
 * Starts Tribe on free ports with the demo model; `close` it in `afterAll`.
 * `overrides` are environment variables: `{ OPENAI_BASE_URL: provider.url }`.
 * Answers are not cached unless asked for.
 * Redis is the one found on the PATH, if any, unless REDIS_URL says otherwise.
 */
export async function startApp(
  overrides: Environment = {},
  { answerCache = false } = {},
): Promise<TestApp> {
  const key = "administrator-of-the-tests";
  const directory = await mkdtemp(join(tmpdir(), "tribe-app-"));
  const database = await createDatabase();
  // Most tests ask the same again and again, and each wants the provider's answer.
  if (!answerCache) await database.sql(withoutAnswerCache);
  const log: Record<string, unknown>[] = [];
  const logger = createLogger({
    destination: { write: (line: string) => void log.push(JSON.parse(line)) },
  });
  const config = readConfig({
    DATABASE_URL: database.url,
    ADMIN_API_KEY: key,
    HTTP_PORT: "0",
    GRPC_PORT: "0",
    METRICS_PORT: "0",
    TRIBE_DIR: directory,
    SHUTDOWN_TIMEOUT: "5",
    ...overrides,
  });

  let app: App | undefined;
  const close = async () => {
    await app?.close();
    await database.close();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    app = await createApp(config, logger, () => {});
    const { httpPort, grpcPort, metricsPort } = await app.listen();
    return {
      baseUrl: `http://127.0.0.1:${httpPort}`,
      grpcAddress: `127.0.0.1:${grpcPort}`,
      metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
      key: config.identity.adminApiKey ?? key,
      database,
      log,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
