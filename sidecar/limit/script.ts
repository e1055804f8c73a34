// The script that Redis runs for all limits of a request at once: the same algorithms, by the clock of Redis.

/** ARGV of each key: kind, enforced, then four numbers, the last a name for `l`. Answers with five whole numbers for each. */
export const argumentsPerKey = 6;
export const answersPerKey = 5;

/**
 * First all limits are looked at, then, unless one that is enforced refuses, the request is counted by those that admit it.
 * Keys expire when forgetting them makes no difference.
 */
export const script = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local slack = 1e-6
local answers, writes, refused = {}, {}, false

local function text(number) return string.format('%.17g', number) end
local function numbers(key, ...)
  local values = redis.call('HMGET', key, ...)
  for i = 1, #values do values[i] = tonumber(values[i] or 0) end
  return values
end

local kinds = {}

function kinds.m(key, capacity, rate, delay)
  local state = numbers(key, 'fill', 'at')
  local fill = math.max(0, state[1] - math.max(0, now - state[2]) * rate)
  local room = capacity - fill
  local ok = room >= 1 - slack
  local after = ok and fill + 1 or fill
  local function write()
    redis.call('HSET', key, 'fill', text(after), 'at', text(math.max(now, state[2])))
    redis.call('PEXPIRE', key, math.ceil(after / rate) + 1)
  end
  return ok, capacity - after, after / rate, (1 - room) / rate, delay == 1 and fill / rate or 0, write
end

local function count(key, limit, first, last)
  local state = numbers(key, 'from', 'count')
  local used = first > state[1] and 0 or state[2]
  local ok = used < limit
  local function write()
    redis.call('HSET', key, 'from', text(math.max(first, state[1])), 'count', used + 1)
    redis.call('PEXPIRE', key, math.ceil(last - now) + 1)
  end
  return ok, limit - used - (ok and 1 or 0), last - now, last - now, 0, write
end

function kinds.f(key, limit, window)
  local first = math.floor(now / window) * window
  return count(key, limit, first, first + window)
end

function kinds.q(key, limit, first, middle, last)
  if now < middle then return count(key, limit, first, middle) end
  return count(key, limit, middle, last)
end

function kinds.c(key, limit, window)
  local first = math.floor(now / window) * window
  local state = numbers(key, 'from', 'count', 'before')
  if first > state[1] then
    local follows = math.floor((first - state[1]) / window + 0.5) == 1
    state = { first, 0, follows and state[2] or 0 }
  end
  local passed = math.min(window, math.max(0, now - state[1]))
  local used = state[3] * (1 - passed / window) + state[2]
  local ok = used + 1 <= limit + slack
  local function write()
    redis.call('HSET', key, 'from', text(state[1]), 'count', state[2] + 1, 'before', state[3])
    redis.call('PEXPIRE', key, math.ceil(2 * window - passed) + 1)
  end
  local retry = window - passed
  local room = limit - 1 - state[2]
  if room < 0 then retry = retry + math.max(0, 1 - (limit - 1) / state[2]) * window
  elseif state[3] > 0 then retry = math.max(0, (1 - room / state[3]) * window - passed) end
  return ok, limit - used - (ok and 1 or 0), 2 * window - passed, retry, 0, write
end

function kinds.e(key, limit, window)
  local oldest = redis.call('LINDEX', key, -1)
  while oldest and now - tonumber(oldest) >= window do
    redis.call('RPOP', key)
    oldest = redis.call('LINDEX', key, -1)
  end
  local used = redis.call('LLEN', key)
  local ok = used < limit
  local newest = tonumber(redis.call('LINDEX', key, 0) or now)
  local function write()
    redis.call('LPUSH', key, text(math.max(now, newest)))
    redis.call('PEXPIRE', key, math.ceil(window) + 1)
  end
  local retry = oldest and tonumber(oldest) + window - now or 0
  local reset = (ok and now or newest) + window - now
  return ok, limit - used - (ok and 1 or 0), reset, retry, 0, write
end

-- Leases by the time at which they end, unless they are renewed before: those of a sidecar that is gone.
function kinds.l(key, limit, lasts, _, _, name)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now))
  local used = redis.call('ZCARD', key)
  local ok = used < limit
  local function write()
    redis.call('ZADD', key, text(now + lasts), name)
    redis.call('PEXPIRE', key, math.ceil(lasts) + 1)
  end
  return ok, limit - used - (ok and 1 or 0), 0, 1000, 0, write
end

for i, key in ipairs(KEYS) do
  local at = (i - 1) * ${argumentsPerKey}
  local ok, left, reset, retry, delay, write = kinds[ARGV[at + 1]](key, tonumber(ARGV[at + 3]),
    tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]), ARGV[at + 6])
  if ok then writes[#writes + 1] = write
  elseif ARGV[at + 2] == '1' then refused = true end
  local to = (i - 1) * ${answersPerKey}
  answers[to + 1] = ok and 1 or 0
  answers[to + 2] = math.max(0, math.floor(left + slack))
  answers[to + 3] = math.ceil(math.max(0, reset))
  answers[to + 4] = ok and 0 or math.ceil(math.max(0, retry))
  answers[to + 5] = ok and math.ceil(delay) or 0
end
if not refused then
  for _, write in ipairs(writes) do write() end
end
return answers
`;

/**
 * ARGV: how long leases last from now on, in milliseconds, then the name of the lease of each key. Also those that are not
 * there any more, as after a restart of Redis: what is under way is.
 */
export const renewal = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, string.format('%.17g', now + ARGV[1]), ARGV[i + 1])
  redis.call('PEXPIRE', key, math.ceil(ARGV[1]) + 1)
end
return {}
`;
