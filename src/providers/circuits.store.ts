/**
 * Circuits that all processes share: a small hash in Redis, which every process
 * reads beside its calls. No call waits for it: what is in memory decides, and
 * is never older than the last reading. While Redis is away every process has
 * circuits of its own.
 */
import type { Redis } from "../redis/redis.ts";
import { defineScript, runScript } from "../redis/script.ts";
import {
  createCircuit,
  DEFAULT_CIRCUIT,
  type Circuit,
  type CircuitPolicy,
  type CircuitShare,
} from "./circuit.ts";
import type { Circuits } from "./circuits.ts";

/** Circuits with a beat to end. */
export interface SharedCircuits extends Circuits {
  close(): void;
}

const key = "tribe:circuits";
/** From one reading to the next. With a round trip, far less than a second. */
const readEveryMs = 400;
/** For how long nobody else probes after a claim; a probe that takes longer is given up on. */
const probeMs = 30_000;
/** After its end, for how long an opening that nobody probed is remembered. */
const rememberMs = 600_000;

/** Entries are `until probeUntil level needsProbe reason`, times by Redis's own clock. */
const common = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function parse(entry)
  if not entry then return nil end
  local untilTime, probeUntil, level, needsProbe, reason =
    string.match(entry, '^(%d+) (%d+) (%d+) ([01]) (.*)$')
  if not untilTime then return nil end
  return { tonumber(untilTime), tonumber(probeUntil), tonumber(level), needsProbe, reason }
end
local function write(name, e)
  redis.call('HSET', KEYS[1], name,
    string.format('%.0f %.0f %.0f %s %s', e[1], e[2], e[3], e[4], e[5]))
end
`;
const readScript = defineScript(`${common}
local reply = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local e = parse(all[i + 1])
  if not e or e[1] + (e[4] == '1' and ${rememberMs} or 0) <= now then
    redis.call('HDEL', KEYS[1], all[i])
  else
    table.insert(reply, { all[i], e[1] - now, e[3], e[4], e[5] })
  end
end
return reply`);
const openScript = defineScript(`${common}
local untilTime = now + tonumber(ARGV[2])
local e = parse(redis.call('HGET', KEYS[1], ARGV[1]))
if not e or e[1] < untilTime then
  write(ARGV[1], { untilTime, 0, tonumber(ARGV[3]), ARGV[4], ARGV[5] })
  redis.call('EXPIRE', KEYS[1], 86400)
end
return 1`);
const claimScript = defineScript(`${common}
local e = parse(redis.call('HGET', KEYS[1], ARGV[1]))
if not e then return 1 end
if e[1] > now or e[2] > now then return 0 end
e[2] = now + ${probeMs}
write(ARGV[1], e)
return 1`);
const releaseScript = defineScript(`${common}
local e = parse(redis.call('HGET', KEYS[1], ARGV[1]))
if e then
  e[2] = 0
  write(ARGV[1], e)
end
return 1`);

type Entry = [name: string, forMs: number, level: number, needsProbe: string, reason: string];

/** Begins to read now. */
export function createSharedCircuits(
  redis: Redis,
  policy: Partial<CircuitPolicy> = {},
): SharedCircuits {
  const complete = { ...DEFAULT_CIRCUIT, ...policy };
  const circuits = new Map<string, Circuit>();
  let isReading = false;

  /** What cannot be told is known to this process alone, until the next time. */
  function tell(work: Promise<unknown>): void {
    work.catch(() => undefined);
  }
  const share: CircuitShare = {
    opened(name, { forMs, level, needsProbe, reason }) {
      const args = [name, Math.ceil(forMs), level, needsProbe ? 1 : 0, reason].map(String);
      tell(runScript(redis, openScript, [key], args));
    },
    closed: (name) => tell(redis.command(key, ["HDEL", key, name])),
    released: (name) => tell(runScript(redis, releaseScript, [key], [name])),
    claim(name, answer) {
      runScript<number>(redis, claimScript, [key], [name]).then(
        (granted) => answer(granted === 1),
        () => answer(true),
      );
    },
  };

  async function read(): Promise<void> {
    if (isReading || !redis.isReady()) return;
    isReading = true;
    const askedAt = complete.now();
    try {
      const entries = await runScript<Entry[]>(redis, readScript, [key]);
      const open = new Set<string>();
      for (const [name, forMs, level, needsProbe, reason] of entries) {
        open.add(name);
        const opening = { forMs, level, needsProbe: needsProbe === "1", reason };
        circuits.get(name)?.hear(opening, askedAt);
      }
      for (const [name, circuit] of circuits) if (!open.has(name)) circuit.hearClosed(askedAt);
    } catch {
      // Redis's own health says that it is away; the circuits go on without it.
    } finally {
      isReading = false;
    }
  }
  const timer = setInterval(() => void read(), readEveryMs).unref();

  return {
    create(name) {
      const circuit = createCircuit(name, share, complete);
      circuits.set(name, circuit);
      return circuit;
    },
    close: () => clearInterval(timer),
  };
}
