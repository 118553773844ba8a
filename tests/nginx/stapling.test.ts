/** Stapled OCSP by the real nginx, with an authority that does OCSP: OpenSSL's own responder. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeFolder } from "../support/folder.ts";
import { startEdge, type TestEdge } from "../support/nginx.ts";
import { freePort } from "../support/redis.ts";

const folder = makeFolder();
const file = (name: string) => join(folder.path, name);
const openssl = (...words: string[]) =>
  execFileSync("openssl", words, { cwd: folder.path, stdio: "pipe" });

/** Makes a key and a certificate of the authority, with extensions as in openssl.cnf. */
function issue(name: string, serial: string, extensions: string) {
  writeFileSync(file(`${name}.ext`), extensions);
  const subject = ["-subj", `/CN=${name}`];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", ...key, ...subject, "-keyout", `${name}.key`, "-out", `${name}.csr`);
  const by = ["-CA", "authority.pem", "-CAkey", "authority.key", "-set_serial", `0x${serial}`];
  const into = ["-extfile", `${name}.ext`, "-out", `${name}.pem`];
  openssl("x509", "-req", "-days", "2", "-in", `${name}.csr`, ...by, ...into);
}

let responder: ChildProcess | undefined;
let edge: TestEdge | undefined;

beforeAll(async () => {
  const port = await freePort();
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const subject = ["-subj", "/CN=authority"];
  openssl("req", "-x509", ...key, ...subject, "-keyout", "authority.key", "-out", "authority.pem");
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  issue("edge", "1000", `${names}\nauthorityInfoAccess=OCSP;URI:http://127.0.0.1:${port}\n`);
  // As most authorities do it: answers are signed by somebody whom the authority trusts to.
  issue("responder", "1001", "extendedKeyUsage=OCSPSigning\n");
  writeFileSync(
    file("chain.pem"),
    readFileSync(file("edge.pem")) + "" + readFileSync(file("authority.pem")),
  );
  writeFileSync(file("index.txt"), "V\t491231235959Z\t\t1000\tunknown\t/CN=edge\n");
  const signer = ["-rsigner", "responder.pem", "-rkey", "responder.key", "-CA", "authority.pem"];
  const words = ["ocsp", "-port", String(port), "-index", "index.txt", "-ndays", "1", ...signer];
  responder = spawn("openssl", words, { cwd: folder.path, stdio: "ignore" });
  edge = await startEdge(["127.0.0.1:1:1"], {
    EDGE_ENABLE: "ocsp",
    EDGE_RESOLVER: "127.0.0.1",
    EDGE_CERTIFICATE: file("chain.pem"),
    EDGE_CERTIFICATE_KEY: file("edge.key"),
    EDGE_AUTHORITIES: file("authority.pem"),
  });
});
afterAll(async () => {
  await edge?.close();
  responder?.kill();
  folder.remove();
});

/** What is stapled to a handshake, if anything is. */
async function staple(): Promise<Buffer | undefined> {
  const socket = connectTls({
    host: "127.0.0.1",
    port: Number(new URL(edge!.url).port),
    ca: readFileSync(file("authority.pem")),
    servername: "localhost",
    requestOCSP: true,
  });
  const answer = once(socket, "OCSPResponse").then(([response]) => response as Buffer | null);
  await once(socket, "secureConnect");
  const response = await answer;
  socket.destroy();
  return response === null || response.length === 0 ? undefined : response;
}

test("the authority's word is stapled once nginx has asked for it", async () => {
  let response: Buffer | undefined;
  // The first caller comes before the authority's answer.
  await expect.poll(async () => (response = await staple()), { timeout: 10_000 }).toBeDefined();
  writeFileSync(file("staple.der"), response!);
  const certificates = [
    "-issuer",
    "authority.pem",
    "-cert",
    "edge.pem",
    "-CAfile",
    "authority.pem",
  ];
  const said = openssl("ocsp", "-respin", "staple.der", ...certificates, "-no_nonce").toString();
  expect(said).toMatch(/^edge\.pem: good$/m);
  expect(edge!.errorLog()).not.toMatch(/OCSP.*fail/i);
});
