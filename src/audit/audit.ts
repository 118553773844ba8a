import type { Interceptor } from "@connectrpc/connect";
import type { KeyRing } from "../key-ring.ts";
import type { Postgres } from "../postgres/postgres.ts";
import type { Logger } from "../telemetry/logger.ts";
import {
  type AuditRepository,
  createAuditRepository,
  type Transaction,
} from "./audit.repository.ts";
import { createAuditService } from "./audit.rpc.ts";
import { createChainer } from "./chainer.ts";
import { createAuditInterceptor } from "./audit.interceptor.ts";
import { createTrail, type AuditTrail } from "./trail.ts";
import {
  expireAction,
  expireResource,
  type Verification,
  verifyChain,
} from "./verification.repository.ts";

/** What the audit log is made of. */
export interface AuditParts {
  postgres: Postgres;
  keyRing: KeyRing;
  logger: Logger;
}

/** The audit log, as capabilities see it. */
export interface Audit {
  /**
   * Writes the event of a trail within the transaction of the change that it tells of. Without
   * an outcome: `ok`.
   */
  record(transaction: Transaction, trail: AuditTrail, outcome?: string): Promise<void>;
  /** Writes an event that belongs to no change, in a transaction of its own. */
  write(trail: AuditTrail, outcome?: string): Promise<void>;
  /** Erases what is personal in the events of a user, in the caller's transaction. */
  eraseDetails(transaction: Transaction, userId: string): Promise<void>;
  /** Erases what is personal in events that are older. Returns in how many. */
  expireDetails(before: Date): Promise<number>;
  verify(): Promise<Verification>;
  /** Outside of the one that authenticates: it sees refusals too. */
  readonly interceptor: Interceptor;
  /** Its part of AdminService. */
  readonly service: ReturnType<typeof createAuditService>;
  /** Begins to give events their places in the chain. */
  start(): void;
  close(): Promise<void>;
}

/** The audit log in PostgreSQL. */
export function createAudit({ postgres, keyRing, logger }: AuditParts): Audit {
  const repository: AuditRepository = createAuditRepository(postgres);
  const keys = keyRing.derive("audit");
  const chainer = createChainer({ postgres, keys, logger });

  async function record(transaction: Transaction, trail: AuditTrail, outcome = "ok") {
    await repository.insert(transaction, trail, outcome);
    if (outcome === "ok") trail.isRecorded = true;
    else trail.isRefusalRecorded = true;
    chainer.nudge();
  }
  function write(trail: AuditTrail, outcome?: string): Promise<void> {
    return postgres.work((em) => record(em, trail, outcome));
  }
  async function verify(): Promise<Verification> {
    await chainer.catchUp();
    return verifyChain(postgres, keys);
  }

  return {
    record,
    write,
    verify,
    eraseDetails: repository.eraseDetails,
    expireDetails: (before) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          const count = await repository.expireDetails(em, before);
          const resource = `${expireResource}${before.toISOString()}`;
          if (count > 0) await record(em, createTrail(expireAction, undefined, { resource }));
          return count;
        }),
      ),
    interceptor: createAuditInterceptor({ write, logger }),
    service: createAuditService({ repository, verify, catchUp: chainer.catchUp }),
    start: chainer.start,
    close: chainer.close,
  };
}
