import type { ConfigKey } from "./config-key.ts";
import type { ConfigReader } from "./config-reader.ts";
import { readTlsTrust, type TlsTrust } from "./config-tls.ts";

/** The environment variables that say where PostgreSQL is. */
export const postgresKeys = [
  {
    name: "DATABASE_URL",
    default: "an embedded PostgreSQL in TRIBE_DIR",
    meaning: "PostgreSQL: `postgres://user:password@host:5432/database`.",
  },
  {
    name: "DATABASE_REPLICA_URLS",
    default: "none",
    meaning:
      "Streaming standbys of DATABASE_URL, comma-separated. Lists, search and sums are read there, from one that has all that was committed.",
  },
  {
    name: "DATABASE_SERVICE_ROLE",
    default: "none",
    meaning:
      "Read by `npm run migrate` only: the role that the service connects as, which then gets the privileges that it needs and no more (docs/database-roles.md).",
  },
  {
    name: "DATABASE_CA",
    default: "the authorities that Node trusts",
    meaning:
      "PEM certificates of the authority to trust for PostgreSQL, best as DATABASE_CA_FILE. With it every connection is TLS with a server whose name is checked; without it `sslmode` and `sslrootcert` in the URL decide.",
  },
  {
    name: "DATABASE_CERTIFICATE",
    default: "none",
    meaning: "PEM certificate that Tribe shows to PostgreSQL.",
  },
  {
    name: "DATABASE_CERTIFICATE_KEY",
    default: "none",
    meaning: "PEM private key of DATABASE_CERTIFICATE.",
  },
] as const satisfies readonly ConfigKey[];

/** Where PostgreSQL is. */
export interface PostgresConfig {
  /** Undefined: run the embedded one. */
  readonly url: string | undefined;
  readonly replicaUrls: readonly string[];
  /** With it, every connection is TLS. Undefined: as the URLs say. */
  readonly trust: TlsTrust | undefined;
}

/** Reads where PostgreSQL is, and collects faults in the reader. */
export function readPostgresConfig(reader: ConfigReader): PostgresConfig {
  const schemes = ["postgres", "postgresql"];
  const url = reader.url("DATABASE_URL", schemes);
  const replicaUrls = reader.urls("DATABASE_REPLICA_URLS", schemes);
  const trust = readTlsTrust(reader, "DATABASE");
  if (replicaUrls.length > 0 && reader.text("DATABASE_URL") === undefined)
    reader.fault("DATABASE_REPLICA_URLS", "needs DATABASE_URL, the primary");
  if (trust !== undefined && reader.text("DATABASE_URL") === undefined)
    reader.fault("DATABASE_URL", "is needed with DATABASE_CA and DATABASE_CERTIFICATE");
  const insecure = /[?&](sslmode=(disable|no-verify)|sslrootcert=|uselibpqcompat=)/;
  if (trust !== undefined && [url ?? "", ...replicaUrls].some((text) => insecure.test(text)))
    reader.fault(
      "DATABASE_CA",
      "and DATABASE_CERTIFICATE mean TLS with a server that is checked: leave sslmode=disable, sslmode=no-verify, sslrootcert and uselibpqcompat out of the URLs",
    );
  return { url, replicaUrls, trust };
}
