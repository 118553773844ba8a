import type { ConfigReader } from "./config-reader.ts";
import { readTlsTrust, type TlsTrust } from "./config-tls.ts";

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
