/** TLS to a real PostgreSQL whose certificate openssl made. */
import { execFileSync } from "node:child_process";
import { chownSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/embedded/postgres.ts";
import { createPostgres } from "../../src/postgres/postgres.ts";
import { entities } from "../../src/entities.ts";
import { makeFolder } from "../support/folder.ts";
import { tribe } from "../support/tribe.ts";

const folder = makeFolder();
const file = (name: string) => join(folder.path, name);
const openssl = (...args: string[]) =>
  execFileSync("openssl", args, { cwd: folder.path, stdio: "pipe" });

/** An authority of its own, and a certificate of it for one name. */
function makeAuthority(name: string) {
  openssl(
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(" "),
    ..."-addext basicConstraints=critical,CA:TRUE -subj".split(" "),
    `/CN=${name}`,
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.crt`,
  );
}
function makeCertificate(name: string, authority: string, alternativeName: string) {
  openssl(
    ..."req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj".split(" "),
    `/CN=${name}`,
    "-addext",
    `subjectAltName=${alternativeName}`,
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.csr`,
  );
  openssl(
    ..."x509 -req -days 2 -copy_extensions copyall -CAcreateserial".split(" "),
    "-in",
    `${name}.csr`,
    "-CA",
    `${authority}.crt`,
    "-CAkey",
    `${authority}.key`,
    "-out",
    `${name}.crt`,
  );
}

let server: EmbeddedPostgres;
/** Asked for by no name that its certificate has. */
let misnamed: string;
beforeAll(async () => {
  makeAuthority("authority");
  makeAuthority("stranger");
  makeCertificate("server", "authority", "IP:127.0.0.1");
  makeCertificate("tribe", "authority", "DNS:tribe");
  const directory = join(folder.path, "postgres");
  const first = await startEmbeddedPostgres({ directory });
  await first.stop();
  // PostgreSQL, which root runs as somebody else, insists on owning its key.
  const { uid, gid } = statSync(findData(directory));
  chownSync(file("server.key"), uid, gid);
  server = await startEmbeddedPostgres({
    directory,
    settings: {
      ssl: "on",
      ssl_cert_file: file("server.crt"),
      ssl_key_file: file("server.key"),
      ssl_ca_file: file("authority.crt"),
      fsync: "off",
    },
  });
  misnamed = server.url.replace("127.0.0.1", "localhost");
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

function findData(directory: string): string {
  const output = execFileSync("find", [
    directory,
    "-name",
    "PG_VERSION",
    "-path",
    "*data/PG_VERSION",
  ]);
  return join(output.toString().trim().split("\n")[0] ?? "", "..");
}

/** Connects as a process with this environment does, both ways that statements go. */
async function connect(environment: Record<string, string>) {
  const { postgres: config } = readConfig({ TRIBE_DIR: folder.path, ...environment });
  const postgres = await createPostgres({ url: config.url ?? "", trust: config.trust, entities });
  const statement = {
    name: "tls",
    text: "select ssl::text, client_dn from pg_stat_ssl where pid = pg_backend_pid()",
  };
  try {
    const [queried] = await postgres.query(statement, []);
    const [ran] = await postgres.run(statement, []);
    expect(ran).toEqual(queried);
    return { ssl: ran?.[0], clientName: ran?.[1] };
  } finally {
    await postgres.close();
  }
}

describe("is asked for", () => {
  test("by DATABASE_CA_FILE alone", async () => {
    expect(
      await connect({ DATABASE_URL: server.url, DATABASE_CA_FILE: file("authority.crt") }),
    ).toEqual({ ssl: "true", clientName: null });
  });

  test("by DATABASE_CA as one line", async () => {
    const ca = readFileSync(file("authority.crt"), "utf8").replaceAll("\n", String.raw`\n`);
    expect(await connect({ DATABASE_URL: server.url, DATABASE_CA: ca })).toMatchObject({
      ssl: "true",
    });
  });

  test.each(["verify-full", "require"])(
    "by sslmode=%s and sslrootcert in the URL",
    async (mode) => {
      const url = `${server.url}?sslmode=${mode}&sslrootcert=${encodeURIComponent(file("authority.crt"))}`;
      expect(await connect({ DATABASE_URL: url })).toMatchObject({ ssl: "true" });
    },
  );

  test("by nobody", async () => {
    expect(await connect({ DATABASE_URL: server.url })).toMatchObject({ ssl: "false" });
  });

  test("with a certificate of our own", async () => {
    const environment = {
      DATABASE_URL: server.url,
      DATABASE_CA_FILE: file("authority.crt"),
      DATABASE_CERTIFICATE_FILE: file("tribe.crt"),
      DATABASE_CERTIFICATE_KEY_FILE: file("tribe.key"),
    };
    expect(await connect(environment)).toEqual({ ssl: "true", clientName: "/CN=tribe" });
  });
});

describe("is refused", () => {
  const cases = {
    "a certificate of another authority": () => ({
      DATABASE_URL: server.url,
      DATABASE_CA_FILE: file("stranger.crt"),
    }),
    "another authority in the URL": () => ({
      DATABASE_URL: `${server.url}?sslmode=verify-full&sslrootcert=${encodeURIComponent(file("stranger.crt"))}`,
    }),
    "an authority that Node does not know": () => ({
      DATABASE_URL: `${server.url}?sslmode=require`,
    }),
    "a certificate of another name": () => ({
      DATABASE_URL: misnamed,
      DATABASE_CA_FILE: file("authority.crt"),
    }),
  };
  test.each(Object.entries(cases))("%s, and the message says so", async (_, environment) => {
    await expect(connect(environment())).rejects.toMatchObject({
      code: "UNAVAILABLE",
      reason: "DATABASE_UNAVAILABLE",
      cause: { message: expect.stringMatching(/certificate|altnames/) as string },
    });
    // As an operator sees it.
    const { code, stderr } = await tribe(["audit", "verify"], {
      SECRET_KEY: "0".repeat(32),
      ...environment(),
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^The database of DATABASE_URL does not answer: .*(certificate|altnames)/,
    );
  });
});

test("mistakes in the configuration are told all at once", () => {
  const faults = (environment: Record<string, string>) => () => readConfig(environment);
  const database = { DATABASE_URL: "postgres://127.0.0.1/tribe" };
  expect(faults({ ...database, DATABASE_CA: "no certificate" })).toThrow(
    "DATABASE_CA must be a PEM certificate",
  );
  expect(faults({ ...database, DATABASE_CERTIFICATE_FILE: file("tribe.crt") })).toThrow(
    "DATABASE_CERTIFICATE and DATABASE_CERTIFICATE_KEY belong together",
  );
  expect(
    faults({
      ...database,
      DATABASE_CERTIFICATE_FILE: file("tribe.crt"),
      DATABASE_CERTIFICATE_KEY_FILE: file("server.key"),
    }),
  ).toThrow("DATABASE_CERTIFICATE_KEY must be the PEM private key of DATABASE_CERTIFICATE");
  const insecure = `${database.DATABASE_URL}?sslmode=no-verify`;
  expect(faults({ DATABASE_URL: insecure, DATABASE_CA_FILE: file("authority.crt") })).toThrow(
    "leave sslmode=disable, sslmode=no-verify",
  );
  expect(faults({ DATABASE_CA_FILE: file("authority.crt") })).toThrow("DATABASE_URL is needed");
});
