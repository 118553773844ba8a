import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import type { Sealing } from "../sealing.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { SigningKeyRepository, StoredSigningKey } from "./signing-key.repository.ts";
import { publicKeysOf, type SigningKey, type SigningKeys, toSigningKey } from "./signing-keys.ts";

/** What keys in the database are made of. */
export interface StoredSigningKeysParts {
  repository: SigningKeyRepository;
  sealing: Sealing;
  logger: Logger;
  now?: () => number;
}

const day = 24 * 3_600_000;
/** How long a key signs. */
const signingMs = 30 * day;
/** How long the JWKS shows a key before it signs: longer than others keep the JWKS. */
const announcementMs = 1 * day;
/** How long a key still verifies after its successor has begun: longer than tokens live. */
const verifyingMs = 2 * day;
/** How often it is looked whether a successor is due. */
const rotationIntervalMs = 3_600_000;
/** How soon after the last time an unknown `kid` makes us look again. */
const reloadMs = 200;

interface LoadedKey extends SigningKey {
  activeTime: number;
  expireTime: number;
}

/** Keys that make their own successors. */
export interface RotatingSigningKeys extends SigningKeys {
  /** Makes the successor if it is due, in time for everybody to know it when it begins to sign. */
  rotate(): Promise<void>;
}

/** Ed25519 keys that all processes share, each replaced after 30 days. */
export function storedSigningKeys(parts: StoredSigningKeysParts): RotatingSigningKeys {
  const { repository, sealing, logger, now = Date.now } = parts;
  let keys: LoadedKey[] = [];
  /** Sealed with a secret that is lost: they sign for nobody any more. */
  let lostIds: string[] = [];
  let loadedAt = -Infinity;
  let timer: NodeJS.Timeout | undefined;

  async function load(): Promise<void> {
    const known = new Map(keys.map((key) => [key.id, key]));
    const stored = await repository.list();
    const loaded = await Promise.all(stored.map((row) => known.get(row.id) ?? openKey(row)));
    keys = loaded.filter((key) => key !== undefined);
    lostIds = stored.map(({ id }) => id).filter((id) => !keys.some((key) => key.id === id));
    loadedAt = now();
  }
  async function openKey(row: StoredSigningKey): Promise<LoadedKey | undefined> {
    const pkcs8 = sealing.open(row.privateKey, `signing-key/${row.id}`);
    if (pkcs8 === undefined) {
      logger.error({ keyId: row.id }, "a signing key is sealed with a secret that is not known");
      return undefined;
    }
    const key = await toSigningKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
    return { ...key, activeTime: row.activeTime.getTime(), expireTime: row.expireTime.getTime() };
  }
  async function makeKey(activeTime: number): Promise<void> {
    const { privateKey } = generateKeyPairSync("ed25519");
    const key = await toSigningKey(privateKey);
    const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
    await repository.add(
      {
        id: key.id,
        publicKey: key.publicKey as Record<string, string>,
        privateKey: sealing.seal(pkcs8, `signing-key/${key.id}`),
        activeTime: new Date(activeTime),
        expireTime: new Date(activeTime + signingMs + announcementMs + verifyingMs),
      },
      new Date(activeTime - signingMs / 2),
      lostIds,
    );
    await load();
  }
  const active = () => keys.find((key) => key.activeTime <= now() && key.expireTime > now());

  async function rotate(): Promise<void> {
    await load();
    if (active() === undefined) await makeKey(now());
    const newest = Math.max(...keys.map(({ activeTime }) => activeTime));
    if (newest + signingMs - announcementMs <= now()) await makeKey(newest + signingMs);
  }

  function rotateOrWarn() {
    rotate().catch((error: unknown) => logger.warn({ err: error }, "signing keys wait"));
  }

  return {
    rotate,
    async current() {
      if (active() === undefined) await rotate();
      const key = active();
      if (key === undefined) throw new Error("there is no key to sign tokens with");
      return key;
    },
    async find(id) {
      const isKnown = keys.some((key) => key.id === id);
      if (!isKnown && now() - loadedAt > reloadMs) await load();
      return keys.find((key) => key.id === id && key.expireTime > now());
    },
    async jwks() {
      if (now() - loadedAt > reloadMs) await load();
      if (active() === undefined) await rotate();
      return { keys: publicKeysOf(keys) };
    },
    start() {
      if (timer !== undefined) return;
      rotateOrWarn();
      timer = setInterval(rotateOrWarn, rotationIntervalMs).unref();
    },
    close: () => clearInterval(timer),
  };
}
