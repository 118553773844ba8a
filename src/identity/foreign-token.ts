import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify, type RemoteJWKSet } from "jose";
import type { IdentityConfig } from "../config.ts";
import { DomainError, unauthenticated, unavailable } from "../errors.ts";
import { tokenRefusal } from "./access-token.ts";
import { blockedUntil } from "./credential.ts";
import type { ForeignIdentityRepository } from "./foreign-identity.repository.ts";
import { principalLifetimeMs } from "./key-credential.ts";
import type { RoleName, RolePermissions } from "./roles.ts";
import type { ForeignTokens } from "./token-credential.ts";

/** What tokens of another issuer are taken by. */
export interface ForeignTokensParts {
  oidc: NonNullable<IdentityConfig["oidc"]>;
  identities: ForeignIdentityRepository;
  roles(): RolePermissions;
}

/**
 * Signatures of one who keeps the key to himself: never `none`, and never HS256, with which
 * everybody who knows the public key could sign.
 */
const algorithms = [
  "EdDSA",
  "ES256",
  "ES384",
  "ES512",
  "PS256",
  "PS384",
  "PS512",
  "RS256",
  "RS384",
  "RS512",
];
/** Clocks of two houses differ. */
const clockToleranceSeconds = 5;
const fetchTimeoutMs = 5000;
/** Between two looks at the keys of the issuer, whoever sends tokens of unknown ones. */
const cooldownSeconds = 5;

/** Takes tokens of one OpenID issuer, whose keys are found by discovery. */
export function createForeignTokens(parts: ForeignTokensParts): ForeignTokens {
  const { oidc, identities, roles } = parts;
  let discovered: Promise<RemoteJWKSet> | undefined;

  /** Once; again after it failed. */
  function keySet(): Promise<RemoteJWKSet> {
    discovered ??= discover(oidc.issuer).catch((error: unknown) => {
      discovered = undefined;
      throw unavailable("ISSUER_UNAVAILABLE", "the issuer of the token does not answer", error);
    });
    return discovered;
  }

  return {
    issuer: oidc.issuer,
    async lookUp(token) {
      const payload = await verify(token, await keySet(), oidc);
      const owner = await identities.settle({
        issuer: oidc.issuer,
        subject: payload.sub ?? "",
        email: verifiedEmail(payload),
        displayName: displayName(payload),
        role: roleOf(payload, oidc),
      });
      if (owner.isDisabled) throw unauthenticated("the user is disabled");
      if (owner.blockTime !== undefined && owner.blockTime.getTime() > Date.now()) {
        throw blockedUntil(owner.blockTime);
      }
      const { userId, role } = owner;
      return {
        caller: { userId, role, permissions: roles()[role] },
        subjects: [`user:${userId}`],
        expireTime: Math.min(Date.now() + principalLifetimeMs, (payload.exp ?? 0) * 1000),
      };
    },
  };
}

async function verify(
  token: string,
  keys: RemoteJWKSet,
  { issuer, audience }: ForeignTokensParts["oidc"],
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      algorithms,
      issuer,
      audience,
      clockTolerance: clockToleranceSeconds,
      requiredClaims: ["exp", "sub"],
    });
    if (payload.sub === "" || (payload.sub?.length ?? 0) > 255) {
      throw unauthenticated("the token's sub is wrong");
    }
    return payload;
  } catch (error) {
    const isAway =
      error instanceof errors.JWKSTimeout || (error instanceof TypeError && "cause" in error);
    if (isAway || isFetchFailure(error)) {
      throw unavailable("ISSUER_UNAVAILABLE", "the issuer of the token does not answer", error);
    }
    // Perhaps the issuer has a new key, which is not asked for all the time: say when to try again.
    if (error instanceof errors.JWKSNoMatchingKey) {
      throw new DomainError(
        "UNAUTHENTICATED",
        "UNAUTHENTICATED",
        "the token's key is none of the issuer's, as far as is known",
        { retryAfterSeconds: cooldownSeconds },
      );
    }
    throw tokenRefusal(error);
  }
}

/** What jose says when the set of keys cannot be had. */
function isFetchFailure(error: unknown): boolean {
  return error instanceof errors.JOSEError && error.code === "ERR_JOSE_GENERIC";
}

/** https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig */
async function discover(issuer: string): Promise<RemoteJWKSet> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const response = await fetch(url, {
    redirect: "error",
    signal: AbortSignal.timeout(fetchTimeoutMs),
    headers: { accept: "application/json" },
  });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  const document = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown };
  if (document.issuer !== issuer) {
    throw new Error(`${url} is of the issuer ${String(document.issuer)}, not of ${issuer}`);
  }
  const jwksUrl = URL.parse(String(document.jwks_uri));
  if (jwksUrl === null) throw new Error(`${url} names no jwks_uri`);
  return createRemoteJWKSet(jwksUrl, {
    timeoutDuration: fetchTimeoutMs,
    cooldownDuration: cooldownSeconds * 1000,
  });
}

/** The strongest comes first: whoever has several roles has this one. */
const ranking: readonly RoleName[] = ["admin", "user", "service", "viewer"];

/** The role that the claim names, as `admin`, `tribe-admin` or `tribe:admin`. */
function roleOf(
  payload: JWTPayload,
  { roleClaim, defaultRole }: ForeignTokensParts["oidc"],
): RoleName {
  // A claim may have dots in its own name, as a URL has.
  const value = roleClaim in payload ? payload[roleClaim] : at(payload, roleClaim.split("."));
  const values = Array.isArray(value) ? value : typeof value === "string" ? value.split(" ") : [];
  const names = new Set(values.map((name) => String(name).replace(/^tribe[-:]/, "")));
  return ranking.find((role) => names.has(role)) ?? defaultRole;
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (object, name) =>
      typeof object === "object" && object !== null && Object.hasOwn(object, name)
        ? (object as Record<string, unknown>)[name]
        : undefined,
    value,
  );
}

function verifiedEmail({ email, email_verified: isVerified }: JWTPayload): string | undefined {
  const isUsable = typeof email === "string" && email.length <= 320 && isVerified === true;
  return isUsable ? email : undefined;
}

function displayName(payload: JWTPayload): string {
  const name = payload["name"] ?? payload["preferred_username"];
  return typeof name === "string" ? name.slice(0, 200).toWellFormed() : "";
}
