import { createKeyRing, type DerivedKey, keyedHash } from "../key-ring.ts";
import { DomainError } from "../errors.ts";
import { toJsonb, toText } from "../postgres/json.ts";
import { createSealing, type Sealing } from "../sealing.ts";

/** Where something is kept. Sealed, it can be opened in this place of this row only. */
export type VaultPlace =
  | "message/content"
  | "message/metadata"
  | "conversation/title"
  | "conversation/system"
  | "conversation/metadata"
  | "run/error"
  | "run/log";

/** How what people and models say is kept: as it is, or sealed. Opens both, whatever it makes. */
export interface Vault {
  /** Whether what is new is sealed. */
  readonly isSealing: boolean;
  /** The id of the key that seals; undefined while nothing is sealed. */
  readonly keyId: string | undefined;
  /** The ids of all keys that open. */
  readonly keyIds: readonly string[];
  /** What begins everything that the newest key has sealed. */
  readonly prefix: string | undefined;
  /** JSON text for a jsonb column: of a value that is an object or an array, or a string if sealed. */
  jsonb(value: object, place: VaultPlace, id: string): string;
  /** The value of a jsonb column. */
  fromJsonb<Value extends object>(stored: Value | string, place: VaultPlace, id: string): Value;
  /** Text for a text column. */
  text(value: string, place: VaultPlace, id: string): string;
  fromText(stored: string, place: VaultPlace, id: string): string;
  /** What is kept of a hash of content: sealing, nobody can guess the content by it. */
  digest(hash: Uint8Array): Uint8Array;
  /** Whether it was made of this hash, with whichever key. */
  isDigest(stored: Uint8Array, hash: Uint8Array): boolean;
}

/** Begins sealed text; in front of plain text that begins with it, it stands twice. */
const mark = "\u0001";
const markCode = 1;

/** Keeps everything as it is. */
export const plainVault: Vault = createVault({ secrets: [], isSealing: false });

/**
 * A vault over secrets, the newest first: that one seals, if anything shall be sealed, and all of
 * them open.
 */
export function createVault(options: { secrets: readonly string[]; isSealing: boolean }): Vault {
  const [first, ...rest] = options.secrets;
  if (first === undefined) return plain(undefined, []);
  const ring = createKeyRing([first, ...rest]);
  const keys = ring.derive("content");
  const opener = createOpener(createSealing(keys));
  const keyIds = keys.map(({ id }) => id);
  if (!options.isSealing) return plain(opener, keyIds);
  return sealing(createSealing(keys), opener, keyIds, ring.derive("content-digest"));
}

type Opener = (sealed: string, place: VaultPlace, id: string) => string;

function plain(open: Opener = failToOpen, keyIds: readonly string[]): Vault {
  return {
    isSealing: false,
    keyId: undefined,
    keyIds,
    prefix: undefined,
    jsonb: toJsonb,
    fromJsonb: <Value>(stored: Value | string, place: VaultPlace, id: string) =>
      typeof stored === "string" ? (JSON.parse(open(stored, place, id)) as Value) : stored,
    text: markedText,
    fromText: (stored, place, id) =>
      stored.charCodeAt(0) === markCode ? openText(stored, place, id, open) : stored,
    digest: (hash) => hash,
    isDigest: (stored, hash) => Buffer.compare(stored, hash) === 0,
  };
}

function sealing(
  { seal }: Sealing,
  open: Opener,
  keyIds: readonly string[],
  digestKeys: readonly [DerivedKey, ...DerivedKey[]],
): Vault {
  const toSealed = (text: string, place: VaultPlace, id: string) =>
    seal(Buffer.from(text), `${place}/${id}`).toString("base64");
  const [digestKey] = digestKeys;
  return {
    ...plain(open, keyIds),
    isSealing: true,
    keyId: keyIds[0],
    prefix: sealedPrefix(seal),
    jsonb(value, place, id) {
      const json = toJsonb(value);
      // Nothing to hide.
      return json === "{}" || json === "[]" ? json : JSON.stringify(toSealed(json, place, id));
    },
    text: (value, place, id) => (value === "" ? value : mark + toSealed(toText(value), place, id)),
    digest: (hash) => keyedHash(digestKey.key, hash),
    isDigest: (stored, hash) =>
      Buffer.compare(stored, hash) === 0 ||
      digestKeys.some(({ key }) => Buffer.compare(stored, keyedHash(key, hash)) === 0),
  };
}

/** Version and key id have 7 bytes: 9 characters of base64 say them, but for 2 bits. */
function sealedPrefix(seal: Sealing["seal"]): string {
  return seal(Buffer.alloc(0), "").toString("base64").slice(0, 9);
}

function markedText(value: string): string {
  const text = toText(value);
  return text.charCodeAt(0) === markCode ? mark + text : text;
}

function openText(stored: string, place: VaultPlace, id: string, open: Opener): string {
  const text = stored.slice(1);
  return text.charCodeAt(0) === markCode ? text : open(text, place, id);
}

function createOpener(keys: Sealing): Opener {
  return (sealed, place, id) =>
    keys.open(Buffer.from(sealed, "base64"), `${place}/${id}`)?.toString() ??
    failToOpen(sealed, place, id);
}

function failToOpen(_: string, place: VaultPlace, id: string): never {
  throw new DomainError(
    "INTERNAL",
    "CONTENT_NOT_READABLE",
    `the ${place.replace("/", "'s ")} of ${id} is encrypted, and the server's keys do not open it`,
    { metadata: { resource: place, id } },
  );
}
