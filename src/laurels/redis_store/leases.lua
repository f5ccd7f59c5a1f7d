-- Count what each user holds on each node, within one limit over all nodes.
-- A node that has not called for the length of a lease is gone, and so are its counts.
-- KEYS  1 nodes  ZSET node -> until when it lives, in milliseconds of Redis' clock;  then one HASH node -> count per user
-- ARGV  1 node  2 lease and 3 expiry of a key that is not renewed, in milliseconds  4 limit;  then how many the node holds, per user
-- Returns whether the node's lease had not expired, then for each user how many it may keep and how many others hold.
-- O(users * nodes). Calls run one after the other, so that all nodes together never keep more than the limit.
local node, limit = ARGV[1], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local until_ = redis.call('ZSCORE', KEYS[1], node)
local reply = { until_ and tonumber(until_) >= now and 1 or 0 }
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), node)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
for n = 2, #KEYS do
  local others, held = 0, redis.call('HGETALL', KEYS[n])
  for at = 1, #held, 2 do
    if held[at] ~= node then
      if redis.call('ZSCORE', KEYS[1], held[at]) then
        others = others + held[at + 1]
      else
        redis.call('HDEL', KEYS[n], held[at])
      end
    end
  end
  local kept = math.min(tonumber(ARGV[n + 3]), math.max(0, limit - others))
  if kept > 0 then
    redis.call('HSET', KEYS[n], node, kept)
    redis.call('PEXPIRE', KEYS[n], ARGV[3])
  else
    redis.call('HDEL', KEYS[n], node)
  end
  reply[#reply + 1] = kept
  reply[#reply + 1] = others
end
return reply
