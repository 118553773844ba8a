import type { Audit } from "../audit/audit.ts";
import type { Changes } from "../changes.ts";
import type { IdentityConfig } from "../config.ts";
import type { KeyRing } from "../key-ring.ts";
import type { Postgres } from "../postgres/postgres.ts";
import type { Redis } from "../redis/redis.ts";
import type { Settings } from "../settings/settings.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { KeyEnvironment } from "./api-key.ts";
import type { Inherit } from "./api-key.repository.ts";
import type { Guessers } from "./authenticator.ts";
import type { PersonalData } from "./personal-data.ts";
import type { SignInFailure } from "./sessions.ts";

/** What identity is made of. */
export interface IdentityParts {
  config: IdentityConfig;
  /** The key of the first administrator, given or made. Undefined: nobody has one. */
  adminApiKey: string | undefined;
  /** Shows in the keys that are made here. */
  environment: KeyEnvironment;
  postgres: Postgres;
  /** Undefined: cookies and failed sign-ins are remembered by this process alone. */
  redis: Redis | undefined;
  audit: Audit;
  settings: Settings;
  changes: Changes;
  keyRing: KeyRing;
  /** Told of what may be unusual; costs the caller next to nothing. */
  watch: {
    failedSignIn(failure: SignInFailure): void;
    keyUse(apiKeyId: string, userId: string, address: string): void;
  };
  /** Addresses that send wrong credentials. */
  guessers: Guessers;
  /** What other rooms keep of users. */
  personalData: readonly PersonalData[];
  /** What the successor of a rotated key gets of other rooms. */
  inherit: Inherit;
  logger: Logger;
}
