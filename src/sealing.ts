import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { DerivedKey } from "./key-ring.ts";

/** Version of the form: version, key id (6 bytes), nonce (12), tag (16), ciphertext. */
const version = 1;
const idBytes = 6;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = 1 + idBytes + nonceBytes;

/** Encrypts and authenticates with keys of a ring: AES-256-GCM. */
export interface Sealing {
  /** `context` says what it is and where it belongs: elsewhere it cannot be opened. */
  seal(plain: Uint8Array, context: string): Buffer;
  /** Undefined: it was made with an unknown key, for something else, or was changed. */
  open(sealed: Uint8Array, context: string): Buffer | undefined;
}

/** Seals with the newest key, opens with all of them. */
export function createSealing(keys: readonly [DerivedKey, ...DerivedKey[]]): Sealing {
  const keysById = new Map(keys.map((derived) => [derived.id, derived.key]));
  const [newest] = keys;
  return {
    seal(plain, context) {
      // Random nonces are safe for 2^32 messages a key. NIST SP 800-38D, 8.3
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", newest.key, nonce);
      cipher.setAAD(Buffer.from(context));
      const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
      const id = Buffer.from(newest.id, "hex");
      return Buffer.concat([Buffer.of(version), id, nonce, cipher.getAuthTag(), ciphertext]);
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      if (bytes.length < headBytes + tagBytes || bytes[0] !== version) return undefined;
      const key = keysById.get(bytes.toString("hex", 1, 1 + idBytes));
      if (key === undefined) return undefined;
      const nonce = bytes.subarray(1 + idBytes, headBytes);
      const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(bytes.subarray(headBytes, headBytes + tagBytes));
      try {
        const plain = decipher.update(bytes.subarray(headBytes + tagBytes));
        return Buffer.concat([plain, decipher.final()]);
      } catch {
        return undefined;
      }
    },
  };
}
