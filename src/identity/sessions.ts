import { randomBytes, randomUUIDv7 } from "node:crypto";
import type { Audit } from "../audit/audit.ts";
import type { AuditTrail } from "../audit/trail.ts";
import type { Changes } from "../changes.ts";
import { unauthenticated } from "../errors.ts";
import { keyedHash, type KeyRing } from "../key-ring.ts";
import type { AccessTokens } from "./access-token.ts";
import { blockedUntil } from "./credential.ts";
import { makeRefreshToken } from "./api-key.ts";
import type { BrowserSessionStore } from "./browser-session.ts";
import type { Caller } from "./caller.ts";
import type { Passwords } from "./password.ts";
import { refuseEnded } from "./session-principal.ts";
import type { SessionRepository } from "./session.repository.ts";
import type { SignInGuard } from "./sign-in-guard.ts";
import type { StoredUser, UserRepository } from "./user.repository.ts";

/** How long sessions live, in seconds. */
export interface SessionLifetimes {
  /** Of a session of tokens. */
  readonly refreshTokenLifetime: number;
  /** Of a session of a cookie. */
  readonly sessionLifetime: number;
}

/** What sessions are made of. */
export interface SessionsParts {
  repository: SessionRepository;
  browserSessions: BrowserSessionStore;
  users: UserRepository;
  passwords: Passwords;
  guard: SignInGuard;
  tokens: AccessTokens;
  audit: Audit;
  changes: Pick<Changes, "publish">;
  keyRing: KeyRing;
  lifetimes: SessionLifetimes;
  /** Told of every sign-in that fails or is refused. */
  onFailure(failure: SignInFailure): void;
}

/** A sign-in that came to nothing. */
export interface SignInFailure {
  /** The e-mail in small letters. */
  account: string;
  /** Whose account it is; undefined: nobody's, or nobody has looked. */
  userId: string | undefined;
  address: string;
}

/** A pair of tokens. */
export interface TokenPair {
  accessToken: string;
  refreshToken: string;
  /** Of the access token. */
  expireTime: Date;
}

/** Signing in, going on, signing out. */
export interface Sessions {
  /** Whose e-mail and password these are. Fails with UNAUTHENTICATED, the same for all reasons. */
  checkPassword(email: string, password: string, trail: AuditTrail): Promise<StoredUser>;
  /** Begins a session of tokens. */
  begin(user: StoredUser, trail: AuditTrail): Promise<TokenPair>;
  /** Begins a session of a cookie, always under a new random value. */
  beginWithCookie(
    user: StoredUser,
    trail: AuditTrail,
  ): Promise<{ cookie: string; csrfToken: string; expireTime: Date }>;
  /** Exchanges a refresh token. Fails with UNAUTHENTICATED. */
  refresh(refreshToken: string, trail: AuditTrail): Promise<TokenPair>;
  /** Ends the caller's session, or all of the user's. */
  end(
    caller: Caller,
    everywhere: boolean,
    cookie: string | undefined,
    trail: AuditTrail,
  ): Promise<void>;
  /** What a page must show with the cookie. */
  csrfToken(cookie: string): string;
  /** What is stored instead of the cookie. */
  cookieHash(cookie: string): string;
}

/** Sessions in PostgreSQL, those of cookies in Redis as well. */
export function createSessions(parts: SessionsParts): Sessions {
  const { repository, browserSessions, users, passwords, tokens, audit, keyRing, lifetimes } =
    parts;
  const secretKeys = keyRing.derive("credentials");
  const [csrfKey] = keyRing.derive("csrf");
  const [accountKey] = keyRing.derive("accounts");
  const [newestKey] = secretKeys;
  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000);
  const cookieHash = (cookie: string) => keyedHash(newestKey.key, cookie).toString("base64url");
  const csrfToken = (cookie: string) => keyedHash(csrfKey.key, cookie).toString("base64url");

  async function pairFor(userId: string, sessionId: string, refreshToken: string) {
    const { token, expireTime } = await tokens.make(userId, sessionId);
    return { accessToken: token, refreshToken, expireTime };
  }

  return {
    csrfToken,
    cookieHash,
    async checkPassword(email, password, trail) {
      const account = email.toLowerCase();
      const { address } = trail;
      try {
        await parts.guard.admit(account, address);
      } catch (error) {
        parts.onFailure({ account, userId: undefined, address });
        throw error;
      }
      const found = await users.findForSignIn(account);
      const isRight = await passwords.verify(password, found?.passwordHash);
      if (!isRight || found === undefined || found.user.isDisabled) {
        // The account is named only to whoever can name it: by its keyed hash, or by its id.
        trail.facts["account"] = keyedHash(accountKey.key, account).toString("hex").slice(0, 16);
        trail.subjectId = found?.user.userId;
        if (found !== undefined) trail.resource = `user/${found.user.userId}`;
        parts.onFailure({ account, userId: found?.user.userId, address });
        await audit.write(trail, "WRONG_CREDENTIALS");
        throw unauthenticated("the e-mail or the password is wrong");
      }
      const { user, passwordHash = "" } = found;
      await parts.guard.succeed(account, address);
      if (user.blockTime !== undefined && user.blockTime.getTime() > Date.now()) {
        throw blockedUntil(user.blockTime);
      }
      if (passwords.needsRehash(passwordHash)) {
        await users.setPassword(user.userId, await passwords.hash(password), undefined);
      }
      trail.userId = user.userId;
      return user;
    },

    async begin({ userId }, trail) {
      const sessionId = randomUUIDv7();
      const refreshToken = makeRefreshToken();
      const expireTime = inSeconds(lifetimes.refreshTokenLifetime);
      trail.resource = `session/${sessionId}`;
      const hash = keyedHash(newestKey.key, refreshToken);
      await repository.create({ sessionId, userId, expireTime }, hash, trail);
      return pairFor(userId, sessionId, refreshToken);
    },

    async beginWithCookie({ userId }, trail) {
      const sessionId = randomUUIDv7();
      const cookie = randomBytes(32).toString("base64url");
      const expireTime = inSeconds(lifetimes.sessionLifetime);
      trail.resource = `session/${sessionId}`;
      await browserSessions.save(cookieHash(cookie), {
        sessionId,
        userId,
        expireTime: expireTime.getTime(),
      });
      await repository.create({ sessionId, userId, expireTime }, undefined, trail);
      return { cookie, csrfToken: csrfToken(cookie), expireTime };
    },

    async refresh(refreshToken, trail) {
      const next = makeRefreshToken();
      const hashes = secretKeys.map(({ key }) => keyedHash(key, refreshToken));
      const refreshed = await repository.refresh(hashes, keyedHash(newestKey.key, next), trail);
      if (refreshed.kind === "unknown") throw unauthenticated("the refresh token is not valid");
      const { owner } = refreshed;
      if (refreshed.kind === "reused") {
        parts.changes.publish([`session:${owner.sessionId}`]);
        throw unauthenticated("the refresh token was used before, so the session has ended");
      }
      refuseEnded(owner);
      return pairFor(owner.userId, owner.sessionId, next);
    },

    async end(caller, everywhere, cookie, trail) {
      const { userId, sessionId } = caller;
      trail.resource = everywhere ? `user/${userId}` : `session/${sessionId}`;
      const ended = await repository.revoke(userId, everywhere ? undefined : sessionId, trail);
      parts.changes.publish(ended.map((id) => `session:${id}`));
      // The row in PostgreSQL decides; this only clears up.
      if (cookie !== undefined) await browserSessions.remove(cookieHash(cookie)).catch(() => {});
    },
  };
}
