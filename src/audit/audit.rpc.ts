import type { ServiceImpl } from "@connectrpc/connect";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { AdminService, AuditEvent } from "../../gen/tribe/v1/admin_pb.js";
import { decodePageToken, encodePageToken, type PageCursor } from "../page-token.ts";
import type { AuditRepository, StoredAuditEvent } from "./audit.repository.ts";
import type { Verification } from "./verification.repository.ts";

/** What the audit part of AdminService is made of. */
export interface AuditServiceParts {
  repository: AuditRepository;
  verify(): Promise<Verification>;
  /** Resolves when all events have their places. */
  catchUp(): Promise<void>;
}

/** How many events a page has unless told otherwise. */
const defaultPageSize = 100;

/** The audit part of AdminService: from the contract to the log and back. */
export function createAuditService({ repository, verify, catchUp }: AuditServiceParts) {
  return {
    async listAuditEvents(request) {
      const { pageSize, pageToken, userId, action, startTime, endTime } = request;
      const filter = {
        userId: userId || undefined,
        action: action || undefined,
        startTime: startTime && timestampDate(startTime),
        endTime: endTime && timestampDate(endTime),
      };
      const scope = ["ListAuditEvents", filter];
      const before = decodePageToken(pageToken, scope, isSequenceCursor)?.[0];
      if (before === undefined) await catchUp();
      const limit = pageSize || defaultPageSize;
      const found = await repository.list(filter, limit + 1, before);
      const page = found.slice(0, limit);
      const last = found.length > limit ? page.at(-1) : undefined;
      return {
        auditEvents: page.map(toProtoAuditEvent),
        nextPageToken: last === undefined ? "" : encodePageToken(scope, [last.sequence]),
      };
    },

    async verifyAuditLog() {
      const { checked, fault } = await verify();
      return {
        valid: fault === undefined,
        eventsChecked: BigInt(checked),
        firstInvalidSequence: BigInt(fault?.sequence ?? 0),
        problem: fault?.problem ?? "",
      };
    },
  } satisfies Partial<ServiceImpl<typeof AdminService>>;
}

function toProtoAuditEvent(event: StoredAuditEvent): AuditEvent {
  return {
    $typeName: "tribe.v1.AuditEvent",
    sequence: BigInt(event.sequence),
    createTime: timestampFromDate(event.createTime),
    userId: event.userId ?? "",
    apiKeyId: event.apiKeyId ?? "",
    action: event.action,
    resource: event.resource,
    outcome: event.outcome,
    requestId: event.requestId,
    address: event.address,
    facts: { ...event.facts },
    hash: event.hash.toString("hex"),
  };
}

function isSequenceCursor(cursor: PageCursor): cursor is [sequence: number] {
  return cursor.length === 1 && Number.isSafeInteger(cursor[0]) && Number(cursor[0]) > 0;
}
