import { createHash } from "node:crypto";
import { type DerivedKey, keyedHash } from "../key-ring.ts";

/** What the chain holds fast of an event: all of its row. */
export interface ChainedEvent {
  eventId: string;
  /** Milliseconds since 1970. */
  createTime: number;
  userId: string | null;
  apiKeyId: string | null;
  action: string;
  resource: string;
  outcome: string;
  requestId: string;
  detailsDigest: Uint8Array | null;
}

/** What the first link has for a predecessor. */
export const noHash: Buffer = Buffer.alloc(32);

/** The hash of a link: who changes an event, or its place, would need the key to make it fit. */
export function linkHash(
  key: DerivedKey,
  previousHash: Uint8Array,
  sequence: number,
  event: ChainedEvent,
): Buffer {
  const text = JSON.stringify([
    hex(previousHash),
    sequence,
    event.eventId,
    event.createTime,
    event.userId,
    event.apiKeyId,
    event.action,
    event.resource,
    event.outcome,
    event.requestId,
    event.detailsDigest === null ? null : hex(event.detailsDigest),
  ]);
  return keyedHash(key.key, text);
}

/** What seals the chain's end: who cuts links off would need the key to make the rest look whole. */
export function headSeal(key: DerivedKey, sequence: number, hash: Uint8Array): Buffer {
  return keyedHash(key.key, JSON.stringify(["head", sequence, hex(hash)]));
}

/** What an event keeps of its details, also when they are erased: nobody can guess them by it. */
export function detailsDigest(
  salt: Uint8Array,
  address: string,
  facts: Readonly<Record<string, string>>,
): Buffer {
  // Sorted, since jsonb does not keep the order of keys.
  const sorted = Object.entries(facts).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(salt)
    .update(JSON.stringify([address, sorted]))
    .digest();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
