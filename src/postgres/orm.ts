import { Migrator } from "@mikro-orm/migrations";
import { MikroORM, type Options } from "@mikro-orm/postgresql";
import type { TlsTrust } from "../config.ts";
import { connectionOf } from "./tls.ts";

/** Where PostgreSQL is, and how much of it we take. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with pg's parameters such as `sslmode`. */
  url: string;
  /** Followers for reads that may be a little stale. */
  replicaUrls?: readonly string[];
  /** With it, every connection is TLS with a server that is checked. */
  trust?: TlsTrust | undefined;
  /** Everything that has a table. */
  entities: NonNullable<Options["entities"]>;
  /** The most connections to each server. Default 10. */
  poolSize?: number;
  /** Connections on which the statements of the hot path are pipelined. Default 4. */
  laneCount?: number;
  /** How long to wait for a connection, in milliseconds. Default 2,000. */
  connectTimeoutMs?: number;
  /** How long a statement may run, in milliseconds. Default 15,000. */
  statementTimeoutMs?: number;
  /** After how long without any answer the server counts as away, in milliseconds. Default 3,000. */
  silenceMs?: number;
  /** Told of lost connections. Default: nobody. */
  warn?: (message: string) => void;
}

/** How long a statement may run, in milliseconds. */
export function statementTimeoutOf({ statementTimeoutMs = 15_000 }: PostgresOptions): number {
  return statementTimeoutMs;
}

/**
 * The object-relational mapper over a pool of connections. Connects when first used.
 * Reads go to the primary, also when there are replicas: whoever can bear a stale read
 * asks with `connectionType: "read"`.
 */
export function createOrm(options: PostgresOptions): MikroORM {
  const { connectTimeoutMs = 2000 } = options;
  const statementTimeoutMs = statementTimeoutOf(options);
  const connect = (given: string) => {
    const { url, ssl } = connectionOf(given, options.trust);
    return {
      clientUrl: url,
      driverOptions: {
        // The whole URL again: MikroORM takes only host, user and database from it.
        connectionString: url,
        ...(ssl && { ssl }),
        application_name: "tribe",
        max: options.poolSize ?? 10,
        // Connections stay: a timer for each release would cost more than they do.
        idleTimeoutMillis: 0,
        connectionTimeoutMillis: connectTimeoutMs,
        statement_timeout: statementTimeoutMs,
        idle_in_transaction_session_timeout: statementTimeoutMs,
        // For a server that is there but hangs, and so does not keep its own timeout.
        query_timeout: statementTimeoutMs + 1000,
        keepAlive: true,
        keepAliveInitialDelayMillis: 10_000,
      },
    };
  };
  return new MikroORM({
    ...connect(options.url),
    replicas: (options.replicaUrls ?? []).map(connect),
    preferReadReplicas: false,
    entities: options.entities,
    extensions: [Migrator],
    ensureDatabase: false,
    debug: options.warn === undefined ? false : ["info"],
    // Of its notes, only those of lost connections are for the log.
    logger: (message) => {
      if (/connection|pool/i.test(message)) options.warn?.(message);
    },
    colors: false,
    migrations: {
      path: `${import.meta.dirname}/migrations`,
      pathTs: `${import.meta.dirname}/migrations`,
      glob: "Migration*.ts",
      emit: "ts",
      snapshotName: "schema-snapshot",
      // Only `npm run migrate:create` writes into the source tree.
      snapshotOnMigrate: false,
      silent: true,
    },
  });
}
