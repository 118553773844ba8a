import { administratorId } from "./administrator.ts";
import { createApiKeyRepository } from "./api-key.repository.ts";
import { createApiKeyService } from "./api-key.rpc.ts";
import { createAuthenticator } from "./authenticator.ts";
import { createBlocks } from "./blocks.ts";
import type { Caller } from "./caller.ts";
import { createChangedSubjects } from "./changed-subjects.repository.ts";
import { createCookieCredential } from "./cookie-credential.ts";
import { createForeignIdentityRepository } from "./foreign-identity.repository.ts";
import { createForeignTokens } from "./foreign-token.ts";
import type { IdentityParts } from "./identity-parts.ts";
import { createKeyCredential, hashApiKey } from "./key-credential.ts";
import { createKeyUses } from "./key-uses.ts";
import { createPasswordService } from "./password.rpc.ts";
import { createPersonalDataService } from "./personal-data.ts";
import { createIdentityData } from "./personal-data.repository.ts";
import { createPersonalDataRpc } from "./personal-data.rpc.ts";
import { createPasswords } from "./password.ts";
import { createPolicyInterceptor } from "./policy.interceptor.ts";
import { createPrincipalCache } from "./principal-cache.ts";
import { rolePermissionsSetting } from "./role-setting.ts";
import { type RolePermissions, toRolePermissions } from "./roles.ts";
import { createSessionParts } from "./session-parts.ts";
import { createSessionService } from "./session.rpc.ts";
import { createTokenCredential } from "./token-credential.ts";
import { createUnblockService } from "./unblock.rpc.ts";
import { createUserRepository } from "./user.repository.ts";
import { createUserService } from "./user.rpc.ts";

/** Credentials that are remembered after they were verified. */
const maxPrincipals = 100_000;

/** Who may do what: users, their keys, and the interceptor that holds calls to their policies. */
export function createIdentity(parts: IdentityParts) {
  const { config, postgres, audit, settings, changes, keyRing, logger } = parts;
  const originRules = { allowedOrigins: config.allowedOrigins };
  const users = createUserRepository(postgres, audit);
  const apiKeys = createApiKeyRepository(postgres, audit, parts.inherit);
  const passwords = createPasswords(config.passwordWork);
  const cache = createPrincipalCache(maxPrincipals);
  const uses = createKeyUses({ touch: apiKeys.touch, logger });
  const { repository, browserSessions, signingKeys, sessions, tokens, cleaner, guard } =
    createSessionParts({ ...parts, users, passwords });

  let rolePermissions: RolePermissions;
  let administrator: Caller;
  function readRoles() {
    rolePermissions = toRolePermissions(settings.get(rolePermissionsSetting));
    const permissions = rolePermissions.admin;
    administrator = { userId: administratorId, role: "admin", permissions };
    cache.clear();
  }
  readRoles();
  settings.onChange(readRoles);
  const roles = () => rolePermissions;
  changes.listen({
    changed: cache.forget,
    missed: cache.clear,
    poll: createChangedSubjects(postgres),
  });

  const identities = createForeignIdentityRepository(postgres, audit);
  const foreign = config.oidc && createForeignTokens({ oidc: config.oidc, identities, roles });
  const authenticate = createAuthenticator({
    cache,
    kinds: [
      createKeyCredential({ apiKeys, keyRing, roles }),
      createTokenCredential({ tokens, sessions: repository, roles, foreign }),
    ],
    administrator:
      parts.adminApiKey === undefined
        ? undefined
        : { key: parts.adminApiKey, caller: () => administrator },
    session: createCookieCredential({
      cache,
      browserSessions,
      repository,
      sessions,
      roles,
      originRules,
    }),
    onKeyUse: uses.note,
    guessers: parts.guessers,
  });

  const personalData = createPersonalDataService({
    users,
    rooms: [createIdentityData(postgres, browserSessions), ...parts.personalData],
    changes,
  });

  return {
    /** Behind the one that audits and before those that limit. */
    interceptor: createPolicyInterceptor(authenticate, parts.watch.keyUse),
    service: {
      ...createApiKeyService({
        apiKeys,
        findRole: async (userId) => (await users.find(userId))?.role,
        roles,
        hash: (apiKey) => hashApiKey(keyRing, apiKey),
        environment: parts.environment,
        changes,
      }),
      ...createUserService({ users, passwords, roles, changes }),
      ...createSessionService({ sessions, users, originRules }),
      ...createPasswordService({ users, passwords, sessions, roles, changes }),
      ...createPersonalDataRpc({ personalData, users, roles }),
      ...createUnblockService({ users, guard, roles, changes }),
    },
    /** Refuses somebody for a while. */
    blocks: createBlocks({ users, apiKeys, guard, audit, changes }),
    /** What others verify our tokens with. */
    jwks: signingKeys.jwks,
    start() {
      uses.start();
      signingKeys.start();
      cleaner.start();
    },
    async close() {
      signingKeys.close();
      cleaner.close();
      await uses.close();
    },
  };
}
