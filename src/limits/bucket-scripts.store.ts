import { defineScript } from "../redis/script.ts";

/**
 * Takes a call from all its buckets, or from none.
 *
 * A bucket is 16 bytes, its level and the time of that level (microseconds of Redis's own clock,
 * which all processes share), as doubles: they keep every digit, which decimal text would not.
 * It expires when it is full, which is what its absence means.
 *
 * KEYS: the buckets; then, each only if ARGV says so: the set of runs, the idempotency key, a key
 * to read along. ARGV: 1 how many buckets; 2 how many runs may be under way ('': there is no set);
 * 3 the run's id; 4 its lease in milliseconds; 5 how long to know the idempotency key, in
 * milliseconds ('': there is none); 6 '1' if a key is read along, else ''; then for each bucket its
 * capacity, its refill per second and what to take.
 *
 * Gives {1 admitted, 0 rejected; runs that were under way; the level of each bucket in
 * thousandths, rounded down; what was read along}, or {2; the earlier run's id}.
 */
export const takeScript = defineScript(`
local count = tonumber(ARGV[1])
local nextKey = count + 1
local runs, known
if ARGV[2] ~= '' then runs = KEYS[nextKey] nextKey = nextKey + 1 end
if ARGV[5] ~= '' then
  known = KEYS[nextKey]
  nextKey = nextKey + 1
  local runId = redis.call('GET', known)
  if runId then return {2, runId} end
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local admitted = 1
local levels = {}
local stored = count > 0 and redis.call('MGET', unpack(KEYS, 1, count)) or {}
for i = 1, count do
  local at = 4 + 3 * i
  local capacity, cost = tonumber(ARGV[at]), tonumber(ARGV[at + 2])
  local level = capacity
  if stored[i] then
    local before, since = struct.unpack('<dd', stored[i])
    local elapsed = math.max(0, now - since) / 1000000
    level = math.min(capacity, before + elapsed * ARGV[at + 1])
  end
  if level < math.min(cost, capacity) then admitted = 0 end
  levels[i] = level
end
local underWay = 0
if runs then
  redis.call('ZREMRANGEBYSCORE', runs, '-inf', now)
  underWay = redis.call('ZCARD', runs)
  if underWay >= tonumber(ARGV[2]) then admitted = 0 end
end
local reply = {admitted, underWay}
for i = 1, count do
  local at = 4 + 3 * i
  local level = levels[i]
  if admitted == 1 then
    local capacity = tonumber(ARGV[at])
    level = level - ARGV[at + 2]
    if level < capacity then
      local fullIn = math.ceil((capacity - level) / ARGV[at + 1] * 1000)
      redis.call('SET', KEYS[i], struct.pack('<dd', level, now), 'PX', math.min(fullIn, 1e12))
    end
  end
  reply[i + 2] = math.floor(level * 1000)
end
if admitted == 1 then
  if runs then
    redis.call('ZADD', runs, now + ARGV[4] * 1000, ARGV[3])
    redis.call('PEXPIRE', runs, ARGV[4])
  end
  if known then redis.call('SET', known, ARGV[3], 'PX', ARGV[5]) end
end
if ARGV[6] ~= '' then reply[count + 3] = redis.call('GET', KEYS[nextKey]) end
return reply
`);

/**
 * Takes more from buckets, whatever they hold, or gives back what is negative, and ends a run.
 *
 * KEYS: the buckets, then the set of runs if ARGV[2] names a run. ARGV: 1 how many buckets; 2 the
 * run's id or ''; then for each bucket its capacity, its refill per second and what to take.
 */
export const settleScript = defineScript(`
local count = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for i = 1, count do
  local at = 3 * i
  local capacity = tonumber(ARGV[at])
  local level = capacity
  local stored = redis.call('GET', KEYS[i])
  if stored then
    local before, since = struct.unpack('<dd', stored)
    local elapsed = math.max(0, now - since) / 1000000
    level = math.min(capacity, before + elapsed * ARGV[at + 1])
  end
  level = level - ARGV[at + 2]
  if level < capacity then
    local fullIn = math.ceil((capacity - level) / ARGV[at + 1] * 1000)
    redis.call('SET', KEYS[i], struct.pack('<dd', level, now), 'PX', math.min(fullIn, 1e12))
  else
    redis.call('DEL', KEYS[i])
  end
end
if ARGV[2] ~= '' then redis.call('ZREM', KEYS[count + 1], ARGV[2]) end
return 0
`);

/**
 * Says that runs are still under way. KEYS[1] the set of runs; ARGV: 1 the lease in milliseconds,
 * then the runs' ids.
 */
export const renewScript = defineScript(`
local time = redis.call('TIME')
local till = time[1] * 1000000 + time[2] + ARGV[1] * 1000
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], till, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 0
`);

/**
 * Says that this process lives, and gives how many do. KEYS[1] the set of processes; ARGV: 1 this
 * process's id, 2 after how many milliseconds of silence one is gone.
 */
export const presenceScript = defineScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
`);
