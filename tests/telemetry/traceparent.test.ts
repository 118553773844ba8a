import { expect, test } from "vitest";
import { readTraceparent } from "../../src/telemetry/traceparent.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";

test("reads the caller's trace and whether it is sampled", () => {
  expect(readTraceparent(`00-${traceId}-${spanId}-01`)).toEqual({ traceId, spanId, sampled: true });
  expect(readTraceparent(`00-${traceId}-${spanId}-00`)?.sampled).toBe(false);
  expect(readTraceparent(`00-${traceId}-${spanId}-03`)?.sampled).toBe(true);
  // A later version may say more.
  expect(readTraceparent(`01-${traceId}-${spanId}-01-more`)?.traceId).toBe(traceId);
});

test.each([
  null,
  "",
  "nonsense",
  `ff-${traceId}-${spanId}-01`,
  `00-${traceId}-${spanId}-01-more`,
  `00-${traceId.toUpperCase()}-${spanId}-01`,
  `00-${"0".repeat(32)}-${spanId}-01`,
  `00-${traceId}-${"0".repeat(16)}-01`,
  `00-${traceId}-${spanId}`,
  `00-${traceId}-${spanId}-1`,
])("takes %s for none", (header) => {
  expect(readTraceparent(header)).toBeUndefined();
});
