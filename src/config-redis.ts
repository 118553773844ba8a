import type { ConfigKey } from "./config-key.ts";
import type { ConfigReader, NetworkAddress } from "./config-reader.ts";
import { readTlsTrust, type TlsTrust } from "./config-tls.ts";

/** The environment variables that say where Redis is. */
export const redisKeys = [
  {
    name: "REDIS_URL",
    default: "a redis-server found on the PATH, else in-process",
    meaning:
      "Redis: `redis://user:password@host:6379/0`, or `rediss://` for TLS. With REDIS_SENTINELS or REDIS_CLUSTER_NODES its user, password, TLS and database apply to the nodes and its host is not used.",
  },
  {
    name: "REDIS_SENTINELS",
    default: "none",
    meaning: "Sentinels, comma-separated `host:port` (port 26379 when left out).",
  },
  {
    name: "REDIS_MASTER_NAME",
    default: "none",
    meaning: "Name of the master that the sentinels watch; required with REDIS_SENTINELS.",
  },
  {
    name: "REDIS_CLUSTER_NODES",
    default: "none",
    meaning:
      "Some nodes of a Redis Cluster, comma-separated `host:port` (port 6379 when left out).",
  },
  {
    name: "REDIS_CA",
    default: "the authorities that Node trusts",
    meaning:
      "PEM certificates of the authority to trust for Redis, best as REDIS_CA_FILE; needs `rediss://`.",
  },
  {
    name: "REDIS_CERTIFICATE",
    default: "none",
    meaning: "PEM certificate that Tribe shows to Redis.",
  },
  {
    name: "REDIS_CERTIFICATE_KEY",
    default: "none",
    meaning: "PEM private key of REDIS_CERTIFICATE.",
  },
] as const satisfies readonly ConfigKey[];

/** How a Redis server is spoken to, whatever finds its address. */
export interface RedisCredentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: boolean;
  /** Of TLS. Undefined: authorities that Node brings along, and no certificate of our own. */
  readonly trust?: TlsTrust | undefined;
  /** Number of the database; a cluster has only 0. */
  readonly database: number;
}

/** Where Redis is. */
export type RedisAddress =
  | {
      readonly kind: "standalone";
      readonly url: string;
      readonly trust?: TlsTrust | undefined;
    }
  /** A Unix domain socket, as the embedded default has it. */
  | { readonly kind: "socket"; readonly path: string }
  | ({
      readonly kind: "sentinel";
      readonly masterName: string;
      readonly sentinels: readonly NetworkAddress[];
    } & RedisCredentials)
  | ({ readonly kind: "cluster"; readonly nodes: readonly NetworkAddress[] } & RedisCredentials);

/** Reads where Redis is, and collects faults in the reader. `embedded`: nowhere is named. */
export function readRedisConfig(
  reader: ConfigReader,
): RedisAddress | { readonly kind: "embedded" } {
  const url = reader.url("REDIS_URL", ["redis", "rediss"]);
  const sentinels = reader.addresses("REDIS_SENTINELS", 26_379);
  const nodes = reader.addresses("REDIS_CLUSTER_NODES", 6379);
  const masterName = reader.text("REDIS_MASTER_NAME");
  const trust = readTlsTrust(reader, "REDIS");
  const credentials = { ...readRedisCredentials(url, reader), trust };
  if (trust !== undefined && !credentials.tls)
    reader.fault("REDIS_URL", "must begin with rediss:// for REDIS_CA and REDIS_CERTIFICATE");
  if (sentinels.length > 0 && nodes.length > 0)
    reader.fault("REDIS_SENTINELS", "and REDIS_CLUSTER_NODES are both set: set one of them");
  if ((reader.text("REDIS_SENTINELS") === undefined) !== (masterName === undefined))
    reader.fault("REDIS_MASTER_NAME", "and REDIS_SENTINELS belong together: set both or neither");
  if (nodes.length > 0 && credentials.database !== 0)
    reader.fault("REDIS_URL", "names a database other than 0, which a Redis Cluster does not have");
  if (sentinels.length > 0)
    return { kind: "sentinel", masterName: masterName ?? "", sentinels, ...credentials };
  if (nodes.length > 0) return { kind: "cluster", nodes, ...credentials };
  return url === undefined ? { kind: "embedded" } : { kind: "standalone", url, trust };
}

function readRedisCredentials(url: string | undefined, reader: ConfigReader): RedisCredentials {
  if (url === undefined)
    return { username: undefined, password: undefined, tls: false, database: 0 };
  const { username, password, protocol, pathname } = new URL(url);
  const database = pathname.replace(/^\//, "");
  const decode = (part: string) => {
    try {
      return decodeURIComponent(part) || undefined;
    } catch {
      reader.fault("REDIS_URL", "has a user or password with a % that must be written as %25");
      return undefined;
    }
  };
  if (!/^\d{0,5}$/.test(database))
    reader.fault(
      "REDIS_URL",
      "must end in the number of a database, for example /0, or in nothing",
    );
  return {
    username: decode(username),
    password: decode(password),
    tls: protocol === "rediss:",
    database: Number(database),
  };
}
