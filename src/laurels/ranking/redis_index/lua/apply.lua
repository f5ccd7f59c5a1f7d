-- Apply one batch: idempotent, and monotone by version.
--
-- ARGV  1 puts     version .. order key, 32 bytes each
--       2 removes  version .. user id, 16 bytes each
--       3 asked    user ids, 8 bytes each: users without a change whose ranks are returned too
--       4 first    how many of the first places to watch instead of returning ranks; empty: return ranks
--       5 …        ids of the batches that these changes belong to, remembered in MARKS
-- Returns seq, members, 1 when anything changed, 1 when a user came, left, or was or is among the first places;
--         then, where ranks are returned, those before and after for each put, remove and asked; 0 stands for no rank.
--         Older changes move no user: before and after are equal. For a put or remove of the version that the window
--         holds already, before is -1: another node applied it, and the rank before it is no longer known.
-- No user occurs twice. O(k log n) for k changes.
local KEPT_MARKS = 20000  -- batches remembered
local puts, removes, asked, first, ranked = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[4] == ''

local users, count = {}, 0
for at = 25, #puts, 32 do
  count = count + 1
  users[count] = sub(puts, at, at + 7)
end
local shown = count
for at = 9, #removes, 16 do
  count = count + 1
  users[count] = sub(removes, at, at + 7)
end
local changed = count
for at = 1, #asked, 8 do
  count = count + 1
  users[count] = sub(asked, at, at + 7)
end

local border = not ranked and call('ZRANGE', ORDER, first - 1, first - 1)[1]
local function watched(before, key)
  return not (before and key and border and precedes(border, before) and precedes(border, key))
end

local held = count > 0 and call('HMGET', USERS, unpack(users)) or {}
local reply = { seq, total, 0, 0 }
local gone, come, written, after = {}, {}, {}, {}
for n = 1, count do
  local user, value = users[n], held[n]
  local before = member_of(user, value)
  if ranked then reply[2 * n + 3] = before and rank(before) or 0 end
  local blob, at = puts, 32 * n - 31
  if n > shown then blob, at = removes, 16 * (n - shown) - 15 end
  if n <= changed and (not value or unpacked('>I8', blob, at) > unpacked('>I8', value)) then
    local key = n <= shown and sub(puts, at + 8, at + 31) or nil
    gone[#gone + 1] = before
    written[#written + 1] = user
    written[#written + 1] = sub(blob, at, at + (key and 23 or 7))
    if key then
      come[#come + 1] = nearest(key)
      come[#come + 1] = key
    end
    after[n] = key
    if not ranked and reply[4] == 0 and watched(before, key) then reply[4] = 1 end
  else
    after[n] = before
    if ranked and n <= changed and unpacked('>I8', blob, at) == unpacked('>I8', value) then reply[2 * n + 3] = -1 end
  end
end

if dense then
  for _, member in ipairs(gone) do
    local score = sub(member, 1, 8)
    if call('HINCRBY', COUNTS, score, '-1') == 0 then
      call('HDEL', COUNTS, score)
      call('ZREM', SCORES, score)
    end
  end
  for n = 2, #come, 2 do
    local score = sub(come[n], 1, 8)
    if call('HINCRBY', COUNTS, score, '1') == 1 then
      call('ZADD', SCORES, '0', score)
    end
  end
end
if #gone > 0 then call('ZREM', ORDER, unpack(gone)) end
if #come > 0 then call('ZADD', ORDER, unpack(come)) end
if #written > 0 then
  call('HSET', USERS, unpack(written))
  reply[1], reply[2], reply[3] = seq + 1, call('ZCARD', ORDER), 1
  call('HSET', STATE, 'seq', reply[1], 'members', reply[2])
end
for n = 5, #ARGV do call('ZADD', MARKS, ARGV[n], ARGV[n]) end
if #ARGV > 4 then call('ZREMRANGEBYRANK', MARKS, '0', -KEPT_MARKS - 1) end

if ranked then
  for n = 1, count do reply[2 * n + 4] = after[n] and rank(after[n]) or 0 end
end
return reply
