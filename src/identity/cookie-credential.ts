import type { DescMethod } from "@bufbuild/protobuf";
import { unauthenticated } from "../errors.ts";
import type { BrowserSessionStore } from "./browser-session.ts";
import type { Caller } from "./caller.ts";
import { type OriginRules, requireCsrfToken, requireOwnOrigin, sessionCookieOf } from "./cookie.ts";
import type { PrincipalCache } from "./principal-cache.ts";
import type { RolePermissions } from "./roles.ts";
import { toSessionPrincipal } from "./session-principal.ts";
import type { SessionRepository } from "./session.repository.ts";
import type { Sessions } from "./sessions.ts";

/** What the look-up of cookies is made of. */
export interface CookieCredentialParts {
  cache: PrincipalCache;
  browserSessions: BrowserSessionStore;
  repository: Pick<SessionRepository, "findOwner">;
  sessions: Pick<Sessions, "csrfToken" | "cookieHash">;
  roles(): RolePermissions;
  originRules: OriginRules;
}

/**
 * Finds out whose cookie a call carries; undefined: it carries none. Refuses what another
 * origin's page could have made the browser send. One round trip to Redis, which keeps the idle
 * timeout.
 */
export function createCookieCredential(parts: CookieCredentialParts) {
  const { cache, browserSessions, sessions, roles } = parts;

  async function lookUp(cookie: string): Promise<Caller> {
    const session = await browserSessions.use(sessions.cookieHash(cookie));
    if (session === undefined || session.expireTime <= Date.now()) {
      throw unauthenticated("the session of the cookie has ended; sign in again");
    }
    const { sessionId, userId } = session;
    const digest = `session:${sessionId}`;
    const cached = cache.find(digest);
    if (cached !== undefined && cached.expireTime > Date.now()) {
      cached.isUsed = true;
      return cached.caller;
    }
    const epoch = cache.epoch();
    const owner = await parts.repository.findOwner(sessionId, userId);
    return cache.remember(digest, toSessionPrincipal(owner, roles()), epoch).caller;
  }

  return (header: Headers, method: DescMethod): Promise<Caller> | undefined => {
    const cookie = sessionCookieOf(header);
    if (cookie === undefined) return undefined;
    requireOwnOrigin(header, parts.originRules);
    requireCsrfToken(header, method, sessions.csrfToken(cookie));
    return lookUp(cookie);
  };
}
