import { expect, onTestFinished, test, vi } from "vitest";
import { createCircuit, DEFAULT_CIRCUIT, type CircuitShare } from "../../src/providers/circuit.ts";
import { createClock } from "./deployments.ts";

const DOWN = "PROVIDER_UNAVAILABLE";

function start(share?: CircuitShare) {
  const clock = createClock();
  return { clock, circuit: createCircuit("d", share, { ...DEFAULT_CIRCUIT, now: clock.now }) };
}
function failTimes({ circuit }: ReturnType<typeof start>, count: number) {
  for (let call = 0; call < count; call += 1) circuit.failed(DOWN, false);
}

test("opens at five failures that are half of the calls, and says why", () => {
  const { circuit } = start();
  const it = { circuit } as ReturnType<typeof start>;
  for (let call = 0; call < 6; call += 1) circuit.succeeded(false);
  failTimes(it, 5);
  expect(circuit.admits()).toBe(true);
  failTimes(it, 1);
  expect(circuit.admits()).toBe(false);
  expect(circuit.view()).toMatchObject({ state: "open", lastReason: DOWN });
});

test("forgets failures that are long past", () => {
  const it = start();
  failTimes(it, 4);
  it.clock.advance(21_000);
  failTimes(it, 4);
  expect(it.circuit.admits()).toBe(true);
  it.clock.advance(11_000);
  failTimes(it, 1);
  expect(it.circuit.admits()).toBe(false);
});

test("half open, lets one probe through, whose success closes it", () => {
  const it = start();
  failTimes(it, 5);
  it.clock.advance(5_000);
  expect(it.circuit.view().state).toBe("half_open");
  expect(it.circuit.admits()).toBe(true);
  expect(it.circuit.begin()).toBe(true);
  expect(it.circuit.admits()).toBe(false);
  // A call from before says nothing about now.
  it.circuit.succeeded(false);
  expect(it.circuit.view().state).toBe("half_open");
  it.circuit.succeeded(true);
  expect(it.circuit.view().state).toBe("closed");
  expect(it.circuit.admits()).toBe(true);
  expect(it.circuit.begin()).toBe(false);
});

test("is open since the pause that goes on, and closed since the end of the last one", () => {
  vi.useFakeTimers({ toFake: ["Date"], now: 0 });
  onTestFinished(() => void vi.useRealTimers());
  const { circuit, clock } = start();
  const advance = (milliseconds: number) => {
    clock.advance(milliseconds);
    vi.setSystemTime(Date.now() + milliseconds);
  };
  circuit.leaveAlone(1000, "PROVIDER_RATE_LIMITED", false);
  advance(5000);
  expect(circuit.view()).toMatchObject({ state: "closed", since: new Date(1000) });
  circuit.leaveAlone(1000, "PROVIDER_RATE_LIMITED", false);
  advance(5000);
  // A call from before fails when the second pause is over as well.
  circuit.leaveAlone(1000, "PROVIDER_RATE_LIMITED", false);
  expect(circuit.view()).toMatchObject({ state: "open", since: new Date(10_000) });
});

test("opens for twice as long each time a probe fails, at most a minute", () => {
  const it = start();
  failTimes(it, 5);
  for (const pause of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
    it.clock.advance(pause - 1);
    expect(it.circuit.admits()).toBe(false);
    it.clock.advance(1);
    expect(it.circuit.admits()).toBe(true);
    it.circuit.failed(DOWN, it.circuit.begin());
  }
});

test("lets another probe through when one ended without a verdict", () => {
  const it = start();
  failTimes(it, 5);
  it.clock.advance(5_000);
  it.circuit.admits();
  it.circuit.ended(it.circuit.begin());
  expect(it.circuit.admits()).toBe(true);
});

test("a pause that the provider asked for ends without a probe, and the longer of two holds", () => {
  const { circuit, clock } = start();
  circuit.leaveAlone(3_000, "PROVIDER_RATE_LIMITED", false);
  circuit.leaveAlone(1_000, "PROVIDER_RATE_LIMITED", false);
  expect(circuit.availableInMs()).toBe(3_000);
  clock.advance(2_999);
  expect(circuit.admits()).toBe(false);
  clock.advance(1);
  expect(circuit.admits()).toBe(true);
  expect(circuit.begin()).toBe(false);
  expect(circuit.availableInMs()).toBe(0);
});

test("waits for the answer when somebody else decides who probes", () => {
  const claims: ((granted: boolean) => void)[] = [];
  const it = start({
    opened() {},
    closed() {},
    released() {},
    claim: (_, answer) => void claims.push(answer),
  });
  failTimes(it, 5);
  expect(it.circuit.availableInMs()).toBe(Infinity);
  it.clock.advance(5_000);
  expect(it.circuit.admits()).toBe(false);
  expect(it.circuit.availableInMs()).toBe(0);
  claims[0]?.(false);
  expect(it.circuit.admits()).toBe(false);
  expect(claims).toHaveLength(1);
  it.clock.advance(1_000);
  it.circuit.admits();
  claims[1]?.(true);
  expect(it.circuit.admits()).toBe(true);
});

test("believes what it hears of others, but not what is older than its own", () => {
  const { circuit, clock } = start();
  const heard = { forMs: 4_000, reason: DOWN, needsProbe: true, level: 1 };
  circuit.hear(heard, clock.now());
  expect(circuit.admits()).toBe(false);
  clock.advance(4_000);
  circuit.admits();
  const before = clock.now();
  circuit.succeeded(circuit.begin());
  circuit.hear(heard, before);
  expect(circuit.admits()).toBe(true);
  clock.advance(1);
  circuit.hear(heard, clock.now());
  circuit.hearClosed(clock.now());
  expect(circuit.admits()).toBe(true);
});
