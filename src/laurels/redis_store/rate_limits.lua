-- Synchronise GCRA state: per key the theoretical arrival time (TAT) by Redis' clock; the key expires when it passes.
-- KEYS  one per key, all with one hash tag
-- ARGV  microseconds of allowance granted since the last call, one per key; negative after a refund
-- Returns for each key the microseconds from now to its TAT. O(keys). Not idempotent: never repeat a call.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held = redis.call('MGET', unpack(KEYS))
local used = {}
for i, key in ipairs(KEYS) do
  local tat = math.max(tonumber(held[i] or 0), now) + tonumber(ARGV[i])
  used[i] = tat - now
  if used[i] > 0 then
    redis.call('SET', key, string.format('%.0f', tat), 'PX', math.ceil(used[i] / 1000) + 1)
  else
    used[i] = 0
    if held[i] then redis.call('DEL', key) end  -- refunded after other nodes had read it
  end
end
return used
