-- One window of the index; this is put in front of every other script.
--
-- KEYS  1 order   ZSET of 24-byte order keys, all with score 0: byte order is "best first"
--       2 users   HASH user id -> score and reached_at (the order key's first 16 bytes) .. version;
--                 removed users: the version alone, so that an older change can't bring them back
--       3 scores  ZSET of the distinct scores, all with score 0; used where ties are dense
--       4 counts  HASH score -> how many have it;               used where ties are dense
--       5 marks   ZSET of the last batches that were taken, scored by their id
--       6 state   HASH server, ties, seq, members
--
-- Scores, instants, versions and user ids are 8 bytes, big-endian; see domain/standings.py for the order key.
-- All keys of a window share a hash tag, so that a script runs on one node of a Redis Cluster.
--
-- A window built on another server, or before a restart, or half of it: refused. O(1).
local ORDER, USERS, SCORES, COUNTS, MARKS, STATE = unpack(KEYS)
local state = redis.call('HMGET', STATE, 'server', 'ties', 'seq', 'members')
local built_on, TIES, seq, total = state[1], state[2], tonumber(state[3]), redis.call('ZCARD', ORDER)
if not built_on
  or not string.find(redis.call('INFO', 'server'), 'run_id:' .. built_on, 1, true)
  or tonumber(state[4]) ~= total
  or redis.call('HLEN', USERS) < total
  or TIES == 'dense' and total > 0 and redis.call('ZCARD', SCORES) ~= math.max(1, redis.call('HLEN', COUNTS))
then
  return redis.error_reply('GONE')
end

-- The 1-based rank of a member under the tie policy. O(log n). Never Lua's `<`: it compares by locale.
local function rank(member)
  if TIES == 'ordinal' then
    return redis.call('ZRANK', ORDER, member) + 1
  end
  local better = '(' .. string.sub(member, 1, 8)
  return redis.call('ZLEXCOUNT', TIES == 'dense' and SCORES or ORDER, '-', better) + 1
end

-- What USERS holds of somebody, as a member of ORDER; nil for who is not on the board.
local function member_of(user, value)
  return value and #value == 24 and string.sub(value, 1, 16) .. user or nil
end
