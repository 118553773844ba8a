import { createPrivateKey } from "node:crypto";
import type { ConfigKey } from "./config-key.ts";
import type { ConfigReader } from "./config-reader.ts";

/** The environment variables that say who may call, but for the secrets that others use, too. */
export const identityKeys = [
  {
    name: "JWT_SECRET",
    default: "none",
    meaning: "Signs own tokens with HS256; at least 32 bytes. Instead of JWT_PRIVATE_KEY.",
  },
  {
    name: "JWT_PRIVATE_KEY",
    default: "Ed25519 keys in the database, replaced every 30 days",
    meaning:
      "Signs own tokens; a PEM private key, Ed25519 or P-256, or several: the first signs, the others still verify. Instead of JWT_SECRET.",
  },
  {
    name: "ACCESS_TOKEN_LIFETIME",
    default: "600",
    meaning: "Seconds that an access token works.",
  },
  {
    name: "REFRESH_TOKEN_LIFETIME",
    default: "2592000",
    meaning: "Seconds after a sign-in at which refreshing ends.",
  },
  {
    name: "SESSION_IDLE_TIMEOUT",
    default: "43200",
    meaning: "Seconds without a call after which the session of a cookie ends.",
  },
  {
    name: "SESSION_LIFETIME",
    default: "604800",
    meaning: "Seconds after a sign-in at which the session of a cookie ends in any case.",
  },
  {
    name: "ALLOWED_ORIGINS",
    default: "none",
    meaning:
      "Origins beside Tribe's own whose pages may make calls with the cookie, comma-separated.",
  },
  {
    name: "ARGON2_MEMORY",
    default: "19456",
    meaning: "KiB that hashing a password takes. A changed cost is applied at the next sign-in.",
  },
  { name: "ARGON2_PASSES", default: "2", meaning: "Passes of hashing a password." },
  { name: "ARGON2_PARALLELISM", default: "1", meaning: "Lanes of hashing a password." },
  {
    name: "OIDC_ISSUER",
    default: "none",
    meaning: "Issuer whose tokens are accepted; its keys are found by OpenID discovery.",
  },
  {
    name: "OIDC_AUDIENCE",
    default: "none",
    meaning: "Audience that those tokens must carry; required with OIDC_ISSUER.",
  },
  {
    name: "OIDC_ROLE_CLAIM",
    default: "roles",
    meaning: "Claim of those tokens that names the role, or several; dots lead into objects.",
  },
  {
    name: "OIDC_DEFAULT_ROLE",
    default: "user",
    meaning: "`viewer`, `user` or `service`: the role of whom the claim gives none.",
  },
  {
    name: "ADMIN_API_KEY",
    default: "made once and kept in TRIBE_DIR",
    meaning:
      "API key of the first administrator; letters, digits and punctuation, in production at least 16 of them.",
  },
] as const satisfies readonly ConfigKey[];

/** What the environment says of who may call. */
export interface IdentityConfig {
  /** Undefined outside production: make one and keep it in `directory`. */
  readonly adminApiKey: string | undefined;
  /**
   * The server's secrets, the newest first: what API keys are hashed and the audit log is chained
   * with. None outside production: make one and keep it in `directory`.
   */
  readonly secretKeys: readonly string[];
  readonly jwtSecret: string | undefined;
  /** PEM; the first signs, the others still verify. */
  readonly jwtPrivateKeys: readonly string[];
  /** Seconds. */
  readonly accessTokenLifetime: number;
  /** Seconds; no session of tokens lives longer. */
  readonly refreshTokenLifetime: number;
  /** Seconds without a call after which a session of a cookie ends. */
  readonly sessionIdleTimeout: number;
  /** Seconds; no session of a cookie lives longer. */
  readonly sessionLifetime: number;
  /** Origins beside our own whose pages may make calls with a cookie. */
  readonly allowedOrigins: readonly string[];
  /** What a hash of a password costs. */
  readonly passwordWork: {
    /** KiB. */
    readonly memory: number;
    readonly passes: number;
    readonly parallelism: number;
  };
  /** Whose tokens are accepted beside our own. */
  readonly oidc:
    | {
        readonly issuer: string;
        readonly audience: string;
        /** Claim that names the role; dots lead into objects. */
        readonly roleClaim: string;
        /** Role of whom the claim gives none. */
        readonly defaultRole: "viewer" | "user" | "service";
      }
    | undefined;
}

/** Reads what concerns identity, and collects faults in the reader. */
export function readIdentityConfig(reader: ConfigReader, production: boolean): IdentityConfig {
  const adminApiKey = reader.text("ADMIN_API_KEY");
  // A header carries it, and a header carries no blanks and no control characters.
  if (adminApiKey !== undefined && !/^[\x21-\x7e]{1,512}$/.test(adminApiKey))
    reader.fault("ADMIN_API_KEY", "must be 1 to 512 ASCII letters, digits and punctuation");
  else if (production && adminApiKey !== undefined && adminApiKey.length < 16)
    reader.fault("ADMIN_API_KEY", "must have at least 16 characters in production");
  return {
    adminApiKey,
    secretKeys: readSecretKeys(reader),
    ...readJwt(reader),
    accessTokenLifetime: reader.integer("ACCESS_TOKEN_LIFETIME", 30, 86_400) ?? 600,
    refreshTokenLifetime: reader.integer("REFRESH_TOKEN_LIFETIME", 60, 31_536_000) ?? 2_592_000,
    sessionIdleTimeout: reader.integer("SESSION_IDLE_TIMEOUT", 60, 2_592_000) ?? 43_200,
    sessionLifetime: reader.integer("SESSION_LIFETIME", 60, 31_536_000) ?? 604_800,
    allowedOrigins: readOrigins(reader),
    passwordWork: {
      memory: reader.integer("ARGON2_MEMORY", 1024, 4_194_304) ?? 19_456,
      passes: reader.integer("ARGON2_PASSES", 1, 100) ?? 2,
      parallelism: reader.integer("ARGON2_PARALLELISM", 1, 16) ?? 1,
    },
    oidc: readOidc(reader),
  };
}

function readSecretKeys(reader: ConfigReader): readonly string[] {
  const keys = (reader.text("SECRET_KEY")?.split(",") ?? []).map((key) => key.trim());
  if (keys.some((key) => key === ""))
    reader.fault("SECRET_KEY", "must be secrets with single commas between them, the newest first");
  else if (keys[0] !== undefined && Buffer.byteLength(keys[0]) < 32)
    reader.fault("SECRET_KEY", "must begin with a secret of at least 32 bytes");
  return keys;
}

function readJwt(reader: ConfigReader): Pick<IdentityConfig, "jwtSecret" | "jwtPrivateKeys"> {
  const jwtSecret = reader.text("JWT_SECRET");
  // RFC 7518 section 3.2: a key of HS256 is at least as long as its hash.
  if (jwtSecret !== undefined && Buffer.byteLength(jwtSecret) < 32)
    reader.fault("JWT_SECRET", "must have at least 32 bytes");
  // One line, as an environment may have it, has \n for the ends of lines.
  const pem = reader.text("JWT_PRIVATE_KEY")?.replaceAll(String.raw`\n`, "\n");
  if (jwtSecret !== undefined && pem !== undefined)
    reader.fault("JWT_SECRET", "and JWT_PRIVATE_KEY are both set: set one of them");
  if (pem === undefined) return { jwtSecret, jwtPrivateKeys: [] };
  const jwtPrivateKeys = pem.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [];
  if (jwtPrivateKeys.length === 0 || !jwtPrivateKeys.every(isSigningKey))
    reader.fault("JWT_PRIVATE_KEY", "must be a PEM private key, Ed25519 or P-256, or several");
  return { jwtSecret, jwtPrivateKeys };
}

function isSigningKey(pem: string): boolean {
  try {
    const key = createPrivateKey(pem);
    return (
      key.asymmetricKeyType === "ed25519" || key.asymmetricKeyDetails?.namedCurve === "prime256v1"
    );
  } catch {
    return false;
  }
}

function readOrigins(reader: ConfigReader): readonly string[] {
  const urls = reader.urls("ALLOWED_ORIGINS", ["https", "http"]);
  const origins = urls.map((url) => new URL(url).origin);
  if (urls.some((url, index) => url.replace(/\/$/, "") !== origins[index]))
    reader.fault(
      "ALLOWED_ORIGINS",
      "must be origins without paths, for example https://chat.example",
    );
  return origins;
}

function readOidc(reader: ConfigReader): IdentityConfig["oidc"] {
  const issuer = reader.url("OIDC_ISSUER", ["https", "http"]);
  const audience = reader.text("OIDC_AUDIENCE");
  const roleClaim = reader.text("OIDC_ROLE_CLAIM") ?? "roles";
  const defaultRole =
    reader.choice("OIDC_DEFAULT_ROLE", ["viewer", "user", "service"] as const) ?? "user";
  if ((reader.text("OIDC_ISSUER") === undefined) !== (audience === undefined))
    reader.fault("OIDC_ISSUER", "and OIDC_AUDIENCE belong together: set both or neither");
  if (issuer === undefined || audience === undefined) return undefined;
  return { issuer, audience, roleClaim, defaultRole };
}
