/** A span of time, in milliseconds since 1970: from `start` on, up to but without `end`. */
export interface TimeRange {
  readonly start: number;
  readonly end: number;
}

/**
 * A span of time in five pieces, of which sums by day and by hour give the inner ones:
 * start ≤ firstHour ≤ firstDay ≤ lastDay ≤ lastHour ≤ end. The ledger gives what is before
 * `firstHour` and after `lastHour`: less than an hour each. Pieces may be empty.
 */
export interface SplitRange extends TimeRange {
  readonly firstHour: number;
  readonly firstDay: number;
  readonly lastDay: number;
  readonly lastHour: number;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Splits it at the borders of hours and days, UTC. */
export function splitRange({ start, end }: TimeRange): SplitRange {
  const [firstHour, lastHour] = wholes(start, end, hourMs);
  const [firstDay, lastDay] = wholes(firstHour, lastHour, dayMs);
  return { start, firstHour, firstDay, lastDay, lastHour, end };
}

/** The borders between which there are only whole lengths; both `end` when there is none. */
function wholes(start: number, end: number, length: number): [first: number, last: number] {
  const first = Math.ceil(start / length) * length;
  const last = Math.floor(end / length) * length;
  return first <= last ? [first, last] : [end, end];
}

/** The first moment of the day of a time, UTC. */
export function startOfDay(time: number): number {
  return Math.floor(time / dayMs) * dayMs;
}

/** The first moment of the day after that of a time, UTC. */
export function startOfNextDay(time: number): number {
  return startOfDay(time) + dayMs;
}

/** The first moment of the month of a time, UTC. */
export function startOfMonth(time: number): number {
  const date = new Date(time);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
}
