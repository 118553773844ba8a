import { hash } from "node:crypto";
import { DomainError, unauthenticated } from "../errors.ts";
import type { Authenticate } from "./policy.interceptor.ts";
import { createBoundedMap } from "./bounded-map.ts";
import type { Caller } from "./caller.ts";
import { credentialOf, noCredential } from "./credential.ts";
import type { CachedPrincipal, Principal, PrincipalCache } from "./principal-cache.ts";

/** One kind of credential. */
export interface CredentialKind {
  /** Whether it wants to be of this kind. */
  matches(credential: string): boolean;
  /**
   * Whom it belongs to, verified; undefined: nobody. Fails with UNAUTHENTICATED where more can be
   * said about it.
   */
  lookUp(credential: string): Promise<Principal | undefined>;
}

/** What the authenticator is made of. */
export interface AuthenticatorParts {
  cache: PrincipalCache;
  kinds: readonly CredentialKind[];
  /** The administrator's key and whom it makes; it needs no look-up, so it works without database. */
  administrator: { key: string; caller(): Caller } | undefined;
  /** Takes calls without `authorization` and `x-api-key`; undefined: there is no cookie either. */
  session(header: Headers, method: Parameters<Authenticate>[1]): Promise<Caller> | undefined;
  /** Told once a minute of each API key that is used. */
  onKeyUse(apiKeyId: string): void;
  /** Counts wrong credentials by address, and refuses an address that has sent too many. */
  guessers: Guessers;
}

/** Addresses that send credentials which are wrong. */
export interface Guessers {
  /** A credential was looked up and is wrong. */
  note(address: string): void;
  /** Throws RESOURCE_EXHAUSTED when nothing more is looked up for the address. */
  refuse(address: string): void;
}

/** Credentials that are refused without looking again, and for how long, unless anything changes. */
const maxRefused = 10_000;
const refusalLifetimeMs = 10_000;

/**
 * Finds out who calls. A credential that was verified before costs one digest and one look into
 * a map; nobody else is asked.
 */
export function createAuthenticator(parts: AuthenticatorParts): Authenticate {
  const { cache, administrator } = parts;
  const administratorDigest = administrator && digestOf(administrator.key);
  const refused = createBoundedMap<{ error: DomainError; epoch: number }>(
    maxRefused,
    refusalLifetimeMs,
  );
  const lookUps = new Map<string, Promise<Caller>>();

  function use(principal: CachedPrincipal, now: number): Caller {
    principal.isUsed = true;
    const minute = Math.floor(now / 60_000);
    const { apiKeyId } = principal.caller;
    if (principal.usedMinute !== minute && apiKeyId !== undefined) {
      principal.usedMinute = minute;
      parts.onKeyUse(apiKeyId);
    }
    return principal.caller;
  }

  async function lookUp(credential: string, digest: string, address: string): Promise<Caller> {
    const epoch = cache.epoch();
    try {
      const kind = parts.kinds.find(({ matches }) => matches(credential));
      const principal = await kind?.lookUp(credential);
      if (principal === undefined) throw unauthenticated("the credential is not valid");
      return use(cache.remember(digest, principal, epoch), Date.now());
    } catch (error) {
      if (error instanceof DomainError) {
        if (isFinal(error)) refused.set(digest, { error, epoch });
        if (error.code === "UNAUTHENTICATED") parts.guessers.note(address);
      }
      throw error;
    }
  }

  /** Calls that come at once with the same credential share one look-up. */
  function lookUpOnce(credential: string, digest: string, address: string): Promise<Caller> {
    const underWay = lookUps.get(digest);
    if (underWay !== undefined) return underWay;
    const started = lookUp(credential, digest, address).finally(() => lookUps.delete(digest));
    lookUps.set(digest, started);
    return started;
  }

  return (header, method, address) => {
    const credential = credentialOf(header);
    if (credential === undefined) {
      const caller = parts.session(header, method);
      if (caller === undefined) throw noCredential();
      return caller;
    }
    const digest = digestOf(credential);
    const principal = cache.find(digest);
    if (principal !== undefined) {
      const now = Date.now();
      if (now < principal.expireTime) return use(principal, now);
    }
    if (administrator !== undefined && digest === administratorDigest)
      return administrator.caller();
    const refusal = refused.get(digest);
    if (refusal?.epoch === cache.epoch()) throw refusal.error;
    // Whoever is known already is not harmed by others at the same address.
    parts.guessers.refuse(address);
    return lookUpOnce(credential, digest, address);
  };
}

/** Whether asking again gives the same answer; of a block, for as long as refusals are kept. */
function isFinal({ code, reason, retryAfterSeconds = 0 }: DomainError): boolean {
  if (code === "UNAUTHENTICATED") return retryAfterSeconds === 0;
  return reason === "TEMPORARILY_BLOCKED" && retryAfterSeconds * 1000 > refusalLifetimeMs;
}

/** Compared and kept instead of the credential: how long that takes tells nothing about it. */
function digestOf(credential: string): string {
  return hash("sha256", credential, "base64");
}
