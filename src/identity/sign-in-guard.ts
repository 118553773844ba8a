import { DomainError } from "../errors.ts";
import { networkOf } from "../network.ts";
import { createBoundedMap } from "./bounded-map.ts";

/** After how many failures waiting begins, and how long it becomes. */
export interface GuardRule {
  /** What the rule counts by: `account`, `address` or both. */
  readonly name: string;
  /** Attempts that cost no waiting. */
  readonly free: number;
  /** The longest wait, in seconds. */
  readonly longestSeconds: number;
}

/** Failures are forgotten this long after the last one. */
export const forgetSeconds = 3600;

/**
 * Each attempt beyond the free ones doubles the wait for the next. One account from one address
 * is a guesser, or somebody who forgot; one account from everywhere is an attack that must not
 * lock its owner out for long; one address with many accounts is an attack or an office.
 */
export const guardRules = {
  pair: { name: "pair", free: 5, longestSeconds: 900 },
  account: { name: "account", free: 20, longestSeconds: 300 },
  address: { name: "address", free: 50, longestSeconds: 3600 },
} as const satisfies Record<string, GuardRule>;

/** Something that attempts are counted by, under its rule. */
export interface GuardSubject {
  rule: GuardRule;
  /** Without anything personal. */
  key: string;
}

/** Counts attempts to sign in. */
export interface GuardStore {
  /**
   * Counts an attempt, before its password is looked at, so that a hundred at once are a hundred.
   * Returns how many seconds to wait, in which case it was not counted; 0: go on.
   */
  attempt(subject: GuardSubject): Promise<number>;
  /** Takes back one attempt, or all of them, and then a block too. */
  forgive(subject: GuardSubject, all: boolean): Promise<void>;
  /** Lets nobody attempt anything for so many seconds; whoever attempts asks first. */
  block(subject: GuardSubject, seconds: number): Promise<void>;
  /** For how many seconds it is blocked still. */
  blockedFor(subject: GuardSubject): Promise<number>;
}

/** Slows guessers down. */
export interface SignInGuard {
  /** Counts the attempt. Fails with RESOURCE_EXHAUSTED when it comes too early. */
  admit(account: string, address: string): Promise<void>;
  /** It was the right password: what was counted of the account is forgotten. */
  succeed(account: string, address: string): Promise<void>;
  /** Refuses everybody who wants to sign in to the account. */
  blockAccount(account: string, seconds: number): Promise<void>;
  /** Refuses everybody who wants to sign in from the network of the address. */
  blockAddress(address: string, seconds: number): Promise<void>;
  /** Forgets what was counted of the account, and lifts its block. */
  release(account: string): Promise<void>;
}

/** Guards by the account and the address; both only as keyed hashes. */
export function createSignInGuard(store: GuardStore, hash: (text: string) => string): SignInGuard {
  const accountSubject = (account: string) => ({
    rule: guardRules.account,
    key: `account:${hash(account)}`,
  });
  const addressSubject = (address: string) => ({
    rule: guardRules.address,
    key: `address:${hash(networkOf(address))}`,
  });
  const subjects = (account: string, address: string) => ({
    pair: { rule: guardRules.pair, key: `pair:${hash(`${account} ${networkOf(address)}`)}` },
    account: accountSubject(account),
    address: addressSubject(address),
  });
  return {
    async admit(account, address) {
      const { pair, account: byAccount, address: byAddress } = subjects(account, address);
      const blocks = await Promise.all([store.blockedFor(byAccount), store.blockedFor(byAddress)]);
      refuseFor(Math.max(...blocks));
      for (const subject of [pair, byAccount, byAddress]) refuseFor(await store.attempt(subject));
    },
    async succeed(account, address) {
      const { pair, account: byAccount, address: byAddress } = subjects(account, address);
      await Promise.all([
        store.forgive(pair, true),
        store.forgive(byAccount, true),
        // Who owns one account could otherwise try all others between two of his own sign-ins.
        store.forgive(byAddress, false),
      ]);
    },
    blockAccount: (account, seconds) => store.block(accountSubject(account), seconds),
    blockAddress: (address, seconds) => store.block(addressSubject(address), seconds),
    release: (account) => store.forgive(accountSubject(account), true),
  };
}

function refuseFor(seconds: number): void {
  if (seconds <= 0) return;
  throw new DomainError(
    "RESOURCE_EXHAUSTED",
    "SIGN_IN_LOCKED",
    "too many failed attempts to sign in; wait and try again",
    { retryAfterSeconds: seconds },
  );
}

/** How long to wait after so many attempts, in seconds. */
export function waitAfter({ free, longestSeconds }: GuardRule, attempts: number): number {
  return attempts < free ? 0 : Math.min(longestSeconds, 2 ** Math.min(attempts - free, 30));
}

const maxSubjects = 100_000;

/** Counts in this process alone: without Redis, and while it is away. */
export function createMemoryGuardStore(now: () => number = Date.now): GuardStore {
  const counts = createBoundedMap<{ attempts: number; openTime: number }>(
    maxSubjects,
    forgetSeconds * 1000,
  );
  const blocks = new Map<string, number>();
  return {
    async attempt({ rule, key }) {
      const { attempts, openTime } = counts.get(key) ?? { attempts: 0, openTime: 0 };
      const time = now();
      if (openTime > time) return Math.ceil((openTime - time) / 1000);
      const next = attempts + 1;
      counts.set(key, { attempts: next, openTime: time + waitAfter(rule, next) * 1000 });
      return 0;
    },
    async forgive({ key }, all) {
      if (all) blocks.delete(key);
      const count = counts.get(key);
      if (count === undefined) return;
      if (all || count.attempts <= 1) counts.delete(key);
      else counts.set(key, { attempts: count.attempts - 1, openTime: 0 });
    },
    async block({ key }, seconds) {
      const [oldest] = blocks.size >= maxSubjects ? blocks.keys() : [];
      if (oldest !== undefined) blocks.delete(oldest);
      blocks.set(key, now() + seconds * 1000);
    },
    async blockedFor({ key }) {
      const rest = (blocks.get(key) ?? 0) - now();
      if (rest <= 0) blocks.delete(key);
      return Math.max(0, Math.ceil(rest / 1000));
    },
  };
}
