import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import type { TlsTrust } from "../config.ts";

/** How to connect: a URL without TLS parameters, and what they meant. */
export interface Connection {
  url: string;
  /** Undefined: as the URL says. */
  ssl: ConnectionOptions | undefined;
}

/** Parameters of libpq's that pg would read in the URL. */
const parameters = ["ssl", "sslmode", "sslrootcert", "sslcert", "sslkey"] as const;
/** Whoever asks for TLS gets a server that is checked: its authority and its name. */
const verifying = new Set(["prefer", "require", "verify-ca", "verify-full"]);

/**
 * What TLS a URL and the configuration ask for. `sslmode` checks the server in every mode but
 * `disable` and `no-verify`, as pg does; with a CA from the configuration it may be left out.
 * @throws Error when a file that the URL names cannot be read.
 */
export function connectionOf(url: string, trust: TlsTrust | undefined): Connection {
  const parsed = new URL(url);
  const query = parsed.searchParams;
  const mode = query.get("sslmode") ?? undefined;
  const isAsked = trust !== undefined || parameters.some((name) => query.has(name));
  const isOurs = mode === undefined || verifying.has(mode) || mode === "no-verify";
  // libpq's own meaning of the modes is for pg to give.
  if (!isAsked || !isOurs || query.has("uselibpqcompat")) return { url, ssl: undefined };
  if (trust === undefined && mode === undefined && query.get("ssl") === "0") {
    return { url, ssl: undefined };
  }
  const ca = trust?.ca ?? readNamed(query.get("sslrootcert"), "sslrootcert");
  const cert = trust?.certificate ?? readNamed(query.get("sslcert"), "sslcert");
  const key = trust?.key ?? readNamed(query.get("sslkey"), "sslkey");
  for (const name of parameters) query.delete(name);
  return {
    url: parsed.href,
    ssl: {
      // Without it the certificate of an IP address would be checked against "localhost".
      host: parsed.hostname.replace(/^\[(.+)\]$/, "$1"),
      rejectUnauthorized: mode !== "no-verify",
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    },
  };
}

function readNamed(file: string | null, name: string): string | undefined {
  if (file === null) return undefined;
  // libpq's name for the authorities that the system trusts, which Node does anyway.
  if (name === "sslrootcert" && file === "system") return undefined;
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new Error(`DATABASE_URL: ${name} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
