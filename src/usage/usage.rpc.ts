import type { ServiceImpl } from "@connectrpc/connect";
import {
  type GetUsageRequest,
  UsageGroup as ProtoUsageGroup,
  type UsageRow,
  type UsageService,
} from "../../gen/tribe/v1/usage_pb.js";
import { leaveUnrecorded, trailOf } from "../audit/trail.ts";
import { fromProtoTimestamp, toProtoUsage } from "../conversations/message.rpc.ts";
import { invalidField } from "../errors.ts";
import { type Caller, requireCaller } from "../identity/caller.ts";
import { targetUserId } from "../identity/grants.ts";
import { decodePageToken, encodePageToken, isUuid, type PageCursor } from "../page-token.ts";
import { splitRange, startOfNextDay, type TimeRange } from "./time-range.ts";
import type { UsageGroup, UsageRepository, UsageTotal } from "./usage.repository.ts";
import { nobody } from "./usage-sum.statements.ts";

/** How many rows a page has unless told otherwise. */
const defaultPageSize = 100;
/** How much time is summed unless told otherwise: 30 days. */
const defaultLengthMs = 30 * 24 * 3_600_000;

/** The ledger part of UsageService: from the contract to the repository and back. */
export function createUsageService(repository: UsageRepository) {
  return {
    async getUsage(request, { values }) {
      const caller = requireCaller(values);
      const trail = trailOf(values);
      if (request.userId !== "") trail.resource = `user/${request.userId}`;
      const userId = whose(caller, request.userId);
      if (userId === caller.userId) leaveUnrecorded(trail);
      const groupBy = request.groupBy.map((group) => groups[group]);
      const range = rangeOf(request);
      // Without an end each page would have another one, a little later.
      const { startTime, endTime } = request;
      const scope = ["GetUsage", userId, groupBy, startTime?.seconds, endTime?.seconds].map(String);
      const after = decodePageToken(request.pageToken, scope, isGroup(groupBy));
      const limit = request.pageSize || defaultPageSize;
      const totals = await repository.sum({
        range: splitRange(range),
        groupBy,
        userId,
        limit: limit + 1,
        after,
      });
      const page = totals.slice(0, limit);
      const last = page.at(-1);
      const isLast = totals.length <= limit || last === undefined;
      return {
        rows: page.map((total) => toProtoRow(total, groupBy)),
        nextPageToken: isLast ? "" : encodePageToken(scope, last.group),
      };
    },
  } satisfies Partial<ServiceImpl<typeof UsageService>>;
}

const groups: Record<ProtoUsageGroup, UsageGroup> = {
  [ProtoUsageGroup.DAY]: "day",
  [ProtoUsageGroup.MODEL]: "model",
  [ProtoUsageGroup.PROVIDER]: "provider",
  [ProtoUsageGroup.USER]: "user",
  [ProtoUsageGroup.API_KEY]: "apiKey",
  // Validation refuses it.
  [ProtoUsageGroup.UNSPECIFIED]: "day",
};

/** Undefined: everybody's, for whoever may read that and names nobody. */
function whose(caller: Caller, userId: string): string | undefined {
  if (userId === "" && caller.permissions.has("usage:read_all")) return undefined;
  return targetUserId(caller, userId, "usage:read_all");
}

/** Until now means: with what was billed a moment ago, by whichever clock. */
function rangeOf(request: GetUsageRequest): TimeRange {
  const now = Date.now();
  const given = millisecondsOf(request.endTime, "endTime");
  const start = millisecondsOf(request.startTime, "startTime") ?? (given ?? now) - defaultLengthMs;
  const end = given ?? startOfNextDay(now);
  if (end <= start) throw invalidField("endTime", "must be after startTime");
  return { start, end };
}

/** Rounded up, as the ledger knows no less than milliseconds. */
function millisecondsOf(time: GetUsageRequest["startTime"], field: string): number | undefined {
  const date = fromProtoTimestamp(time, field);
  if (time === undefined || date === undefined) return undefined;
  return date.getTime() + (time.nanos % 1_000_000 > 0 ? 1 : 0);
}

function isGroup(groupBy: readonly UsageGroup[]) {
  return (cursor: PageCursor): cursor is readonly string[] =>
    groupBy.length > 0 &&
    cursor.length === groupBy.length &&
    cursor.every((value, index) => {
      const group = groupBy[index];
      return group === "user" || group === "apiKey" ? isUuid(value) : typeof value === "string";
    });
}

function toProtoRow(total: UsageTotal, groupBy: readonly UsageGroup[]): UsageRow {
  const value = (group: UsageGroup) => total.group[groupBy.indexOf(group)] ?? "";
  const apiKeyId = value("apiKey");
  return {
    $typeName: "tribe.v1.UsageRow",
    day: value("day"),
    model: value("model"),
    provider: value("provider"),
    userId: value("user"),
    apiKeyId: apiKeyId === nobody ? "" : apiKeyId,
    runs: BigInt(total.runs),
    usage: toProtoUsage(total.usage),
    costMicros: total.costMicros,
    runsWithoutPrice: BigInt(total.runsWithoutPrice),
    runsEstimated: BigInt(total.runsEstimated),
  };
}
