-- Takes one batch: idempotent, and monotone by version.
--
-- ARGV  1 puts     order key .. version, 32 bytes each
--       2 removes  user id .. version, 16 bytes each
--       3 asked    user ids, 8 bytes each: whose ranks are wanted although nothing of theirs changes
--       4 ranks    '1' to answer ranks
--       5 …        ids of the batches that these changes are, remembered in MARKS
-- Returns seq, members, '1' when anything changed, then rank before and after for each put, remove and asked;
--         0 stands for no rank. Old changes move nobody: before and after are equal.
-- No user occurs twice. O(k log n) for k changes.
local KEPT_MARKS = 20000
local puts, removes, asked, ranked = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'

local unpacked = struct.unpack
local users, keys, versions = {}, {}, {}
local count = 0
for at = 1, #puts, 32 do
  count = count + 1
  users[count], keys[count] = sub(puts, at + 16, at + 23), sub(puts, at, at + 23)
  versions[count] = sub(puts, at + 24, at + 31)
end
for at = 1, #removes, 16 do
  count = count + 1
  users[count], versions[count] = sub(removes, at, at + 7), sub(removes, at + 8, at + 15)
end
for at = 1, #asked, 8 do
  count = count + 1
  users[count] = sub(asked, at, at + 7)
end

local held = count > 0 and call('HMGET', USERS, unpack(users)) or {}
local reply = { seq, total, 0 }
local gone, come, written, after = {}, {}, {}, {}
for n = 1, count do
  local user, value, version, key = users[n], held[n], versions[n], keys[n]
  local before = member_of(user, value)
  reply[2 * n + 2] = ranked and before and rank(before) or 0
  if version and (not value or unpacked('>I8', version) > unpacked('>I8', value, #value - 7)) then
    gone[#gone + 1] = before
    written[#written + 1] = user
    written[#written + 1] = key and sub(key, 1, 16) .. version or version
    if key then
      come[#come + 1] = 0
      come[#come + 1] = key
    end
    after[n] = key
  else
    after[n] = before
  end
end

if TIES == 'dense' then
  for _, member in ipairs(gone) do
    local score = sub(member, 1, 8)
    if call('HINCRBY', COUNTS, score, -1) == 0 then
      call('HDEL', COUNTS, score)
      call('ZREM', SCORES, score)
    end
  end
  for n = 2, #come, 2 do
    local score = sub(come[n], 1, 8)
    if call('HINCRBY', COUNTS, score, 1) == 1 then
      call('ZADD', SCORES, 0, score)
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
if #ARGV > 4 then call('ZREMRANGEBYRANK', MARKS, 0, -KEPT_MARKS - 1) end

for n = 1, count do
  reply[2 * n + 3] = ranked and after[n] and rank(after[n]) or 0
end
return reply
