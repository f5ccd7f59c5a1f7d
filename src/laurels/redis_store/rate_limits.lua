-- What keys owe of their allowance (GCRA): one timestamp per key, by Redis's clock, gone when nothing is owed.
-- KEYS  one per key, all with one hash tag
-- ARGV  microseconds of allowance taken since the last call, one per key; negative where some was given back
-- Answers the microseconds each key owes now. O(keys). Not idempotent: a call that may have been made is not made again.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held = redis.call('MGET', unpack(KEYS))
local owed = {}
for i, key in ipairs(KEYS) do
  local full_at = math.max(tonumber(held[i] or 0), now) + tonumber(ARGV[i])
  owed[i] = full_at - now
  if owed[i] > 0 then
    redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil(owed[i] / 1000) + 1)
  else
    owed[i] = 0
    if held[i] then redis.call('DEL', key) end  -- given back after other nodes were told
  end
end
return owed
