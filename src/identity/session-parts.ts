import { keyedHash } from "../key-ring.ts";
import { createSealing } from "../sealing.ts";
import { createAccessTokens } from "./access-token.ts";
import { createMemoryBrowserSessions } from "./browser-session.ts";
import { createRedisBrowserSessions } from "./browser-session.store.ts";
import type { IdentityParts } from "./identity-parts.ts";
import type { Passwords } from "./password.ts";
import { createSessionRepository } from "./session.repository.ts";
import { createSessions } from "./sessions.ts";
import { createMemoryGuardStore, createSignInGuard } from "./sign-in-guard.ts";
import { createRedisGuardStore } from "./sign-in-guard.store.ts";
import { createSigningKeyRepository } from "./signing-key.repository.ts";
import { configuredSigningKeys, secretSigningKeys, type SigningKeys } from "./signing-keys.ts";
import { storedSigningKeys } from "./stored-signing-keys.ts";
import type { UserRepository } from "./user.repository.ts";

/** Sessions that ended long ago are removed this often. */
const cleaningMs = 3_600_000;

/** Makes what sessions are made of, by what is configured. */
export function createSessionParts(
  parts: IdentityParts & { users: UserRepository; passwords: Passwords },
) {
  const { config, postgres, redis, audit, changes, keyRing, logger, users, passwords } = parts;
  const repository = createSessionRepository(postgres, audit);
  const idleSeconds = config.sessionIdleTimeout;
  const browserSessions =
    redis === undefined
      ? createMemoryBrowserSessions(idleSeconds)
      : createRedisBrowserSessions(redis, idleSeconds);
  const [guardKey] = keyRing.derive("sign-in-guard");
  const guard = createSignInGuard(
    redis === undefined ? createMemoryGuardStore() : createRedisGuardStore(redis),
    (text) => keyedHash(guardKey.key, text).toString("base64url"),
  );
  const signingKeys = chooseSigningKeys(parts);
  const tokens = createAccessTokens(signingKeys, config.accessTokenLifetime);
  const sessions = createSessions({
    repository,
    browserSessions,
    users,
    passwords,
    guard,
    tokens,
    audit,
    changes,
    keyRing,
    lifetimes: config,
    onFailure: parts.watch.failedSignIn,
  });

  let timer: NodeJS.Timeout | undefined;
  const cleaner = {
    start() {
      timer ??= setInterval(() => {
        repository.removeEnded().catch((error: unknown) => {
          logger.warn({ err: error }, "ended sessions are removed later");
        });
      }, cleaningMs).unref();
    },
    close: () => clearInterval(timer),
  };
  return { repository, browserSessions, signingKeys, sessions, tokens, cleaner, guard };
}

function chooseSigningKeys({ config, postgres, keyRing, logger }: IdentityParts): SigningKeys {
  if (config.jwtSecret !== undefined) return secretSigningKeys(config.jwtSecret);
  if (config.jwtPrivateKeys.length > 0) return configuredSigningKeys(config.jwtPrivateKeys);
  return storedSigningKeys({
    repository: createSigningKeyRepository(postgres),
    sealing: createSealing(keyRing.derive("signing-keys")),
    logger,
  });
}
