import type { Audit } from "../../src/audit/audit.ts";
import { createAudit } from "../../src/audit/audit.ts";
import { createTrail } from "../../src/audit/trail.ts";
import { createKeyRing } from "../../src/key-ring.ts";
import type { Postgres } from "../../src/postgres/postgres.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

/** A secret as SECRET_KEY gives it. */
export const secret = "0123456789abcdef0123456789abcdef";

/** An audit log as one process has it. */
export function openAudit(postgres: Postgres, secrets: [string, ...string[]] = [secret]): Audit {
  const logger = createLogger({ level: "silent" });
  return createAudit({ postgres, keyRing: createKeyRing(secrets), logger });
}

/** Writes one event with details. */
export function writeEvent(audit: Audit, changes: { action?: string; userId?: string } = {}) {
  return audit.write(
    createTrail(changes.action ?? "test.thing.make", undefined, {
      resource: "thing/1",
      requestId: "request-1",
      address: "192.0.2.7",
      facts: { zebra: "1", apple: "2" },
      userId: changes.userId,
    }),
  );
}
