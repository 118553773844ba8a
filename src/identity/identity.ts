import type { Interceptor } from "@connectrpc/connect";
import type { Audit } from "../audit/audit.ts";
import type { Changes } from "../changes.ts";
import type { KeyRing } from "../key-ring.ts";
import type { Postgres } from "../postgres/postgres.ts";
import type { Settings } from "../settings/settings.ts";
import type { Logger } from "../telemetry/logger.ts";
import { administratorId } from "./administrator.ts";
import type { KeyEnvironment } from "./api-key.ts";
import { createApiKeyRepository } from "./api-key.repository.ts";
import { createApiKeyService } from "./api-key.rpc.ts";
import { createAuthenticator } from "./authenticator.ts";
import type { Caller } from "./caller.ts";
import { createChangedSubjects } from "./changed-subjects.repository.ts";
import { createKeyCredential, hashApiKey } from "./key-credential.ts";
import { createKeyUses } from "./key-uses.ts";
import { createMeService } from "./me.rpc.ts";
import { createPasswords, type PasswordWork } from "./password.ts";
import { createPolicyInterceptor } from "./policy.interceptor.ts";
import { createPrincipalCache } from "./principal-cache.ts";
import { rolePermissionsSetting } from "./role-setting.ts";
import { type RolePermissions, toRolePermissions } from "./roles.ts";
import { createUserRepository } from "./user.repository.ts";
import { createUserService } from "./user.rpc.ts";

/** What the environment says of identity. */
export interface IdentityOptions {
  /** The key of the first administrator. Undefined: nobody has one. */
  adminApiKey: string | undefined;
  /** Shows in the keys that are made here. */
  environment: KeyEnvironment;
  passwordWork: PasswordWork;
}

/** What identity is made of. */
export interface IdentityParts extends IdentityOptions {
  postgres: Postgres;
  audit: Audit;
  settings: Settings;
  changes: Changes;
  keyRing: KeyRing;
  logger: Logger;
}

/** Credentials that are remembered after they were verified. */
const maxPrincipals = 100_000;

/** Who may do what: users, their keys, and the interceptor that holds calls to their policies. */
export function createIdentity(parts: IdentityParts) {
  const { postgres, audit, settings, changes, keyRing, logger } = parts;
  const users = createUserRepository(postgres, audit);
  const apiKeys = createApiKeyRepository(postgres, audit);
  const passwords = createPasswords(parts.passwordWork);
  const cache = createPrincipalCache(maxPrincipals);
  const uses = createKeyUses({ touch: apiKeys.touch, logger });

  let rolePermissions: RolePermissions;
  let administrator: Caller;
  function readRoles() {
    rolePermissions = toRolePermissions(settings.get(rolePermissionsSetting));
    administrator = {
      userId: administratorId,
      role: "admin",
      permissions: rolePermissions.admin,
    };
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

  const authenticate = createAuthenticator({
    cache,
    kinds: [createKeyCredential({ apiKeys, keyRing, roles })],
    administrator:
      parts.adminApiKey === undefined
        ? undefined
        : { key: parts.adminApiKey, caller: () => administrator },
    session: () => undefined,
    onKeyUse: uses.note,
  });

  return {
    /** Behind the one that audits and before those that limit. */
    interceptor: createPolicyInterceptor(authenticate) as Interceptor,
    service: {
      ...createApiKeyService({
        apiKeys,
        findRole: async (userId) => (await users.find(userId))?.role,
        roles,
        hash: (apiKey) => hashApiKey(keyRing, apiKey),
        environment: parts.environment,
        changes,
      }),
      ...createUserService({ users, passwords, roles, changes, endSessions: async () => {} }),
      ...createMeService({ users }),
    },
    start() {
      uses.start();
    },
    async close() {
      await uses.close();
    },
  };
}
