import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, type JWK } from "jose";

/** A key that signs or verifies own tokens. */
export interface SigningKey {
  /** `kid` of its tokens. */
  readonly id: string;
  readonly algorithm: "EdDSA" | "ES256" | "HS256";
  readonly signWith: KeyObject;
  readonly verifyWith: KeyObject;
  /** As the JWKS shows it; undefined: it is a shared secret and is shown to nobody. */
  readonly publicKey: JWK | undefined;
}

/** The keys of own tokens. */
export interface SigningKeys {
  /** The one that signs now. */
  current(): Promise<SigningKey>;
  /** The one of a `kid`; undefined: nobody has it, or not any more. */
  find(id: string): Promise<SigningKey | undefined>;
  /** What others verify our tokens with. */
  jwks(): Promise<{ keys: JWK[] }>;
  start(): void;
  close(): void;
}

/** The key of JWT_SECRET: whoever verifies has to have it too. */
export function secretSigningKeys(secret: string): SigningKeys {
  const key = createSecretKey(Buffer.from(secret));
  return fixedSigningKeys([
    { id: "secret", algorithm: "HS256", signWith: key, verifyWith: key, publicKey: undefined },
  ]);
}

/** The keys of JWT_PRIVATE_KEY: the first signs. */
export function configuredSigningKeys(pems: readonly string[]): SigningKeys {
  const keys = Promise.all(pems.map((pem) => toSigningKey(createPrivateKey(pem))));
  return fixedSigningKeys(keys);
}

function fixedSigningKeys(
  given: readonly SigningKey[] | Promise<readonly SigningKey[]>,
): SigningKeys {
  return {
    async current() {
      const [first] = await given;
      if (first === undefined) throw new Error("there is no key to sign tokens with");
      return first;
    },
    find: async (id) => (await given).find((key) => key.id === id),
    jwks: async () => ({ keys: publicKeysOf(await given) }),
    start() {},
    close() {},
  };
}

/** What the JWKS shows of keys. */
export function publicKeysOf(keys: readonly SigningKey[]): JWK[] {
  return keys.map(({ publicKey }) => publicKey).filter((key) => key !== undefined);
}

/** A private key, Ed25519 or P-256, with all that belongs to it. */
export async function toSigningKey(privateKey: KeyObject): Promise<SigningKey> {
  const verifyWith = createPublicKey(privateKey);
  const algorithm = privateKey.asymmetricKeyType === "ed25519" ? "EdDSA" : "ES256";
  const jwk = await exportJWK(verifyWith);
  const id = await calculateJwkThumbprint(jwk);
  const publicKey = { ...jwk, kid: id, alg: algorithm, use: "sig" };
  return { id, algorithm, signWith: privateKey, verifyWith, publicKey };
}
