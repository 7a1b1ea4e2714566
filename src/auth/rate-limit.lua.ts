/** The sliding window in Redis: two scripts that keep the times of admitted requests, by Redis' own clock. */
import { createHash } from 'node:crypto'
import type { RedisScript } from '../database/redis-scripts.ts'

function script(text: string): RedisScript {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/** Parts of a window whose requests are counted apart: how finely others know of them in an outage. */
export const slotsPerWindow = 6

/**
 * Asks for one request in every window at once: all have room and it is noted, or nothing is.
 * KEYS: sorted sets of one hash tag, scores in microseconds. ARGV: window in microseconds, slots,
 * member, then for each key its limit and how many entries the caller knows to be there.
 * Returns status (1 admitted, 0 refused, -1 the entries that the caller made are gone), then for each
 * key: microseconds until there is room, entries, microseconds until the oldest leaves, and the entries
 * of each slot, the youngest first. Cost: O(log n) for each of a dozen commands.
 */
export const takeScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window, slots, member = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local waits, wait = {}, 0
for i, key in ipairs(KEYS) do
  local limit, known = tonumber(ARGV[2 + 2 * i]), tonumber(ARGV[3 + 2 * i])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - window))
  local used = redis.call('ZCARD', key)
  if used < known then return { -1 } end
  waits[i] = 0
  if used >= limit then
    local leaving = redis.call('ZRANGE', key, used - limit, used - limit, 'WITHSCORES')
    waits[i] = math.max(1, leaving[2] + window - now)
    wait = math.max(wait, waits[i])
  end
end
local reply = { wait == 0 and 1 or 0 }
for i, key in ipairs(KEYS) do
  if wait == 0 then
    redis.call('ZADD', key, string.format('%.0f', now), member)
    redis.call('PEXPIRE', key, math.ceil(window / 1000))
  end
  reply[#reply + 1] = waits[i]
  local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  reply[#reply + 1] = redis.call('ZCARD', key)
  reply[#reply + 1] = oldest[2] and oldest[2] + window - now or 0
  local width = window / slots
  for slot = 0, slots - 1 do
    reply[#reply + 1] = redis.call('ZCOUNT', key,
      '(' .. string.format('%.0f', now - (slot + 1) * width), string.format('%.0f', now - slot * width))
  end
end
return reply
`)

/**
 * Notes requests that were admitted without Redis. KEYS: one sorted set. ARGV: window in microseconds,
 * then for each request its age in microseconds and its member; one that is there already stays as it is.
 */
export const noteScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for i = 2, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], 'NX', string.format('%.0f', now - ARGV[i]), ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[1] / 1000))
return 1
`)
