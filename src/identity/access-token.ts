import { jwtVerify, SignJWT, errors } from "jose";
import { unauthenticated } from "../errors.ts";
import type { SigningKeys } from "./signing-keys.ts";

/** Who holds a token that we made. */
export interface AccessClaims {
  userId: string;
  sessionId: string;
  /** Milliseconds since 1970. */
  expireTime: number;
}

/** Tokens that we make and take. */
export interface AccessTokens {
  make(userId: string, sessionId: string): Promise<{ token: string; expireTime: Date }>;
  /** Fails with UNAUTHENTICATED. */
  verify(token: string): Promise<AccessClaims>;
}

/** `iss` and `aud` of our own tokens. */
export const ownIssuer = "tribe";
/** https://www.rfc-editor.org/rfc/rfc9068: no token of another kind is taken for one of these. */
const tokenType = "at+jwt";

/** Makes and takes tokens that live for so many seconds. */
export function createAccessTokens(keys: SigningKeys, lifetimeSeconds: number): AccessTokens {
  return {
    async make(userId, sessionId) {
      const key = await keys.current();
      const issuedAt = Math.floor(Date.now() / 1000);
      const expiresAt = issuedAt + lifetimeSeconds;
      const token = await new SignJWT({ sid: sessionId })
        .setProtectedHeader({ alg: key.algorithm, kid: key.id, typ: tokenType })
        .setIssuer(ownIssuer)
        .setAudience(ownIssuer)
        .setSubject(userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(expiresAt)
        .sign(key.signWith);
      return { token, expireTime: new Date(expiresAt * 1000) };
    },
    async verify(token) {
      try {
        // The key, not the token, says which algorithm it is: a public key is never a secret.
        const { payload } = await jwtVerify(
          token,
          async ({ kid, alg }) => {
            const key = kid === undefined ? undefined : await keys.find(kid);
            if (key === undefined || key.algorithm !== alg) throw new errors.JWKSNoMatchingKey();
            return key.verifyWith;
          },
          {
            algorithms: ["EdDSA", "ES256", "HS256"],
            typ: tokenType,
            issuer: ownIssuer,
            audience: ownIssuer,
            requiredClaims: ["exp", "iat", "sub", "sid"],
          },
        );
        const { sub, sid, exp } = payload;
        if (!isUuid(sub) || !isUuid(sid)) throw unauthenticated("the token names no session");
        return { userId: sub, sessionId: sid, expireTime: (exp ?? 0) * 1000 };
      } catch (error) {
        throw tokenRefusal(error);
      }
    },
  };
}

/** Why a token is not taken, in words that help its owner and tell nobody a secret. */
export function tokenRefusal(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return unauthenticated("the token has expired");
  if (error instanceof errors.JWTClaimValidationFailed) {
    return unauthenticated(
      error.claim === "nbf" ? "the token is not valid yet" : `the token's ${error.claim} is wrong`,
    );
  }
  if (error instanceof errors.JOSEError) {
    return unauthenticated("the token is not valid: its form, its key or its signature is wrong");
  }
  return error;
}

function isUuid(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
}
