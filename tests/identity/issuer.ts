import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { exportJWK, type JWK, SignJWT } from "jose";

/** An OpenID issuer on the loopback: discovery, keys and tokens. */
export interface Issuer {
  readonly url: string;
  /** Its first public key. */
  readonly publicPem: string;
  /** A token that is right but for these claims. */
  sign(claims: Record<string, unknown>): Promise<string>;
  /** The same under its `kid`, with a key of somebody else's. */
  signWithOther(claims: Record<string, unknown>): Promise<string>;
  /** Takes another key, and forgets the one before. */
  rotate(): Promise<void>;
  close(): Promise<void>;
}

/** Starts an issuer that signs with RS256. */
export async function startIssuer(): Promise<Issuer> {
  const makeKeys = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
  const other = makeKeys();
  let keys = makeKeys();
  let version = 1;
  let jwk: JWK = await exportJWK(keys.publicKey);
  const server = createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    if (request.url === "/.well-known/openid-configuration") {
      response.end(JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` }));
    } else if (request.url === "/keys") {
      response.end(
        JSON.stringify({ keys: [{ ...jwk, kid: `key-${version}`, alg: "RS256", use: "sig" }] }),
      );
    } else {
      response.writeHead(404).end();
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  function signWith(key: KeyObject, claims: Record<string, unknown>): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({
      iss: url,
      aud: "tribe-api",
      sub: "somebody",
      iat: now,
      exp: now + 300,
      ...claims,
    })
      .setProtectedHeader({ alg: "RS256", kid: `key-${version}` })
      .sign(key);
  }
  return {
    url,
    publicPem: keys.publicKey.export({ format: "pem", type: "spki" }).toString(),
    sign: (claims) => signWith(keys.privateKey, claims),
    signWithOther: (claims) => signWith(other.privateKey, claims),
    async rotate() {
      keys = makeKeys();
      version += 1;
      jwk = await exportJWK(keys.publicKey);
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
