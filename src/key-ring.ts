import { createHmac, createSecretKey, hash, hkdfSync, type KeyObject } from "node:crypto";

/** A key for one purpose, derived from one of the server's secrets. */
export interface DerivedKey {
  /** Tells which secret it was derived from; says nothing about it. */
  readonly id: string;
  /** 256 bits. */
  readonly key: KeyObject;
}

/** The server's secrets: the newest makes what is new, the older ones still read what is old. */
export interface KeyRing {
  /** The keys for a purpose, the newest first: the same ones each time. */
  derive(purpose: string): readonly [DerivedKey, ...DerivedKey[]];
}

/** A ring over secrets of any length, the newest first; they should have 256 bits of entropy. */
export function createKeyRing(secrets: readonly [string, ...string[]]): KeyRing {
  const keys = new Map<string, readonly [DerivedKey, ...DerivedKey[]]>();
  return {
    derive(purpose) {
      let found = keys.get(purpose);
      if (found === undefined) {
        const [first, ...rest] = secrets;
        found = [deriveKey(first, purpose), ...rest.map((secret) => deriveKey(secret, purpose))];
        keys.set(purpose, found);
      }
      return found;
    },
  };
}

/** HKDF-SHA256 (RFC 5869): keys of different purposes tell nothing about each other. */
function deriveKey(secret: string, purpose: string): DerivedKey {
  const key = Buffer.from(hkdfSync("sha256", secret, "tribe", purpose, 32));
  const id = hash("sha256", Buffer.from(hkdfSync("sha256", key, "tribe", "id", 32))).slice(0, 12);
  return { id, key: createSecretKey(key) };
}

/** HMAC-SHA256. A KeyObject costs a seventh of what the same bytes in a Buffer cost. */
export function keyedHash(key: KeyObject, data: string | Uint8Array): Buffer {
  return createHmac("sha256", key).update(data).digest();
}
