import { decodeJwt } from "jose";
import { unauthenticated } from "../errors.ts";
import { type AccessTokens, ownIssuer, tokenRefusal } from "./access-token.ts";
import type { CredentialKind } from "./authenticator.ts";
import type { Principal } from "./principal-cache.ts";
import type { RolePermissions } from "./roles.ts";
import { toSessionPrincipal } from "./session-principal.ts";
import type { SessionRepository } from "./session.repository.ts";

/** Tokens of another issuer. */
export interface ForeignTokens {
  readonly issuer: string;
  /** Whom the token means. Fails with UNAUTHENTICATED. */
  lookUp(token: string): Promise<Principal>;
}

/** What the look-up of tokens is made of. */
export interface TokenCredentialParts {
  tokens: AccessTokens;
  sessions: Pick<SessionRepository, "findOwner">;
  roles(): RolePermissions;
  foreign: ForeignTokens | undefined;
}

/** JSON Web Tokens as credentials: our own, and those of one other issuer. */
export function createTokenCredential(parts: TokenCredentialParts): CredentialKind {
  return {
    // Every JWT begins with the base64url of `{"`.
    matches: (credential) => credential.startsWith("ey"),
    async lookUp(token) {
      const issuer = claimedIssuer(token);
      if (issuer === ownIssuer) {
        const { userId, sessionId, expireTime } = await parts.tokens.verify(token);
        const owner = await parts.sessions.findOwner(sessionId, userId);
        const principal = toSessionPrincipal(owner, parts.roles());
        return { ...principal, expireTime: Math.min(principal.expireTime, expireTime) };
      }
      if (parts.foreign !== undefined && issuer === parts.foreign.issuer) {
        return parts.foreign.lookUp(token);
      }
      throw unauthenticated("the token's issuer is not one that is accepted here");
    },
  };
}

/** Says only whom to ask; nothing of it is believed yet. */
function claimedIssuer(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch (error) {
    throw tokenRefusal(error);
  }
}
