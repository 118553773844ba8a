import type { Audit } from "../audit/audit.ts";
import { type AuditTrail, createTrail } from "../audit/trail.ts";
import { keyedHash, type KeyRing } from "../key-ring.ts";
import { networkOf } from "../network.ts";
import type { Settings } from "../settings/settings.ts";
import type { Counters } from "../telemetry/counters.ts";
import type { Logger } from "../telemetry/logger.ts";
import { failedSignInsSetting, keyAddressesSetting, spendSetting } from "./anomaly-settings.ts";
import { createKeyAddresses } from "./key-addresses.ts";
import type { Sightings } from "./sightings.ts";
import type { UnusualSpend } from "./spend.repository.ts";

/** Refuses somebody, or something of theirs, for a while, with its event in the audit log. */
export interface Blocks {
  user(userId: string, until: Date, trail: AuditTrail): Promise<void>;
  key(apiKeyId: string, until: Date, trail: AuditTrail): Promise<void>;
  /** Signing in to an account. */
  account(account: string, until: Date, trail: AuditTrail): Promise<void>;
  /** Signing in from an address. */
  address(address: string, until: Date, trail: AuditTrail): Promise<void>;
}

/** What anomalies are found by. */
export interface AnomaliesParts {
  sightings: Sightings;
  findUnusualSpend(factor: number, leastMicros: number): Promise<UnusualSpend[]>;
  blocks: Blocks;
  audit: Pick<Audit, "write">;
  settings: Pick<Settings, "get">;
  keyRing: KeyRing;
  counters: Counters;
  logger: Logger;
}

/** A sign-in that failed. */
export interface FailedSignIn {
  /** The e-mail in small letters; stays in this process. */
  account: string;
  /** Whose account it is; undefined: nobody's. */
  userId: string | undefined;
  address: string;
}

/** Notices what an operator would want to know of. */
export interface Anomalies {
  failedSignIn(failure: FailedSignIn): void;
  /** On the way of every call with a key: costs a look into a map. */
  keyUse(apiKeyId: string, userId: string, address: string): void;
  /** Counts what was noted; calls itself twice a second. */
  flush(): Promise<void>;
  /** Looks for unusual spend; called by one process every few minutes. */
  checkSpend(): Promise<void>;
  start(): void;
  close(): Promise<void>;
}

const flushMs = 500;
/** Accounts and addresses between two flushes; more are not told apart from nothing. */
const maxNoted = 10_000;
/** Anomalies that could not be written, and are tried again. */
const maxUnwritten = 1000;

/** Notes in memory, beside the calls, and counts for all processes now and then. */
export function createAnomalies(parts: AnomaliesParts): Anomalies {
  const { sightings, blocks, settings, counters, logger } = parts;
  const [{ key: hashKey }] = parts.keyRing.derive("anomalies");
  const hash = (text: string) => keyedHash(hashKey, text).toString("base64url", 0, 12);
  const counter = counters.counter("tribe_anomalies", "Anomalies that were noticed, by their kind");
  const keyAddresses = createKeyAddresses();
  let accounts = new Map<string, { failure: FailedSignIn; count: number }>();
  let networks = new Map<string, { failure: FailedSignIn; count: number }>();
  let unwritten: (() => Promise<void>)[] = [];
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> | undefined;

  function note(noted: typeof accounts, key: string, failure: FailedSignIn) {
    const found = noted.get(key);
    if (found !== undefined) found.count += 1;
    else if (noted.size < maxNoted) noted.set(key, { failure, count: 1 });
  }

  /** One event, and the block if there is to be one, in one transaction. */
  async function report(
    kind: string,
    trail: AuditTrail,
    minutes: number,
    block: (until: Date, trail: AuditTrail) => Promise<void>,
  ) {
    const { resource, facts } = trail;
    logger.warn({ anomaly: kind, resource, blockMinutes: minutes }, "an anomaly was noticed");
    counter.add({ kind, blocked: String(minutes > 0) });
    const until = new Date(Date.now() + minutes * 60_000);
    if (minutes > 0) facts["blockedUntil"] = until.toISOString();
    await write(() => (minutes > 0 ? block(until, trail) : parts.audit.write(trail)));
  }
  async function write(attempt: () => Promise<void>) {
    try {
      await attempt();
    } catch (error) {
      if (unwritten.length < maxUnwritten) unwritten.push(attempt);
      logger.warn({ err: error }, "an anomaly could not be written; trying again");
    }
  }

  async function countFailures() {
    const [byAccount, byNetwork] = [accounts, networks];
    [accounts, networks] = [new Map(), new Map()];
    const { count: limit, minutes, blockMinutes } = settings.get(failedSignInsSetting);
    if (limit === 0) return;
    const windowMs = minutes * 60_000;
    for (const [account, { failure, count }] of byAccount) {
      const key = `account:${hash(account)}`;
      const attempts = await sightings.count({ key, windowMs, limit }, count);
      if (attempts === 0) continue;
      const { userId } = failure;
      const trail = createTrail("anomaly.failed_sign_ins", undefined, {
        resource: userId === undefined ? "" : `user/${userId}`,
        subjectId: userId,
        facts: { by: "account", attempts: String(attempts), minutes: String(minutes) },
      });
      await report("failed_sign_ins", trail, blockMinutes, (until) =>
        blocks.account(account, until, trail),
      );
    }
    for (const [network, { failure, count }] of byNetwork) {
      const key = `address:${hash(network)}`;
      const attempts = await sightings.count({ key, windowMs, limit }, count);
      if (attempts === 0) continue;
      const trail = createTrail("anomaly.failed_sign_ins", undefined, {
        address: failure.address,
        facts: { by: "address", attempts: String(attempts), minutes: String(minutes) },
      });
      await report("failed_sign_ins", trail, blockMinutes, (until) =>
        blocks.address(failure.address, until, trail),
      );
    }
  }

  async function countAddresses() {
    const { count: limit, minutes, blockMinutes } = settings.get(keyAddressesSetting);
    for (const { apiKeyId, userId, addresses } of keyAddresses.takeNew()) {
      if (limit === 0) continue;
      const members = [...new Set(addresses.map((address) => hash(networkOf(address))))];
      const rule = { key: `key:${apiKeyId}`, windowMs: minutes * 60_000, limit };
      const count = await sightings.distinct(rule, members);
      if (count === 0) continue;
      const trail = createTrail("anomaly.key_addresses", undefined, {
        resource: `api_key/${apiKeyId}`,
        userId,
        apiKeyId,
        facts: { addresses: String(count), minutes: String(minutes) },
      });
      await report("key_addresses", trail, blockMinutes, (until) =>
        blocks.key(apiKeyId, until, trail),
      );
    }
  }

  async function flush(): Promise<void> {
    const again = unwritten;
    unwritten = [];
    for (const attempt of again) await write(attempt);
    await countFailures();
    await countAddresses();
  }
  function flushOnce(): Promise<void> {
    working ??= flush()
      .catch((error: unknown) => logger.warn({ err: error }, "anomalies are looked for later"))
      .finally(() => (working = undefined));
    return working;
  }

  return {
    failedSignIn(failure) {
      note(accounts, failure.account, failure);
      if (failure.address !== "") note(networks, networkOf(failure.address), failure);
    },
    keyUse: keyAddresses.note,
    flush: flushOnce,
    async checkSpend() {
      const { factor, leastMicros, blockMinutes } = settings.get(spendSetting);
      if (factor === 0) return;
      for (const { userId, micros, usualMicros } of await parts.findUnusualSpend(
        factor,
        leastMicros,
      )) {
        const trail = createTrail("anomaly.spend", undefined, {
          resource: `user/${userId}`,
          subjectId: userId,
          facts: { micros: String(micros), usualMicros: String(usualMicros) },
        });
        await report("spend", trail, blockMinutes, (until) => blocks.user(userId, until, trail));
      }
    },
    start: () => (timer ??= setInterval(() => void flushOnce(), flushMs).unref()),
    async close() {
      clearInterval(timer);
      await flushOnce();
    },
  };
}
