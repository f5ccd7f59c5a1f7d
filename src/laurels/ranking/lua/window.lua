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
local call, sub = redis.call, string.sub
local ORDER, USERS, SCORES, COUNTS, MARKS, STATE = unpack(KEYS)
local state = call('HMGET', STATE, 'server', 'ties', 'seq', 'members')
local built_on, TIES, seq, total = state[1], state[2], tonumber(state[3]), call('ZCARD', ORDER)
if not built_on
  or not string.find(call('INFO', 'server'), 'run_id:' .. built_on, 1, true)
  or tonumber(state[4]) ~= total
  or call('HLEN', USERS) < total
  or TIES == 'dense' and total > 0 and call('ZCARD', SCORES) ~= math.max(1, call('HLEN', COUNTS))
then
  return redis.error_reply('GONE')
end

-- The 1-based rank of a member under the tie policy. O(log n). Never Lua's `<`: it compares by locale.
local ordinal, compared = TIES == 'ordinal', TIES == 'dense' and SCORES or ORDER
local function rank(member)
  if ordinal then return call('ZRANK', ORDER, member) + 1 end
  return call('ZLEXCOUNT', compared, '-', '(' .. sub(member, 1, 8)) + 1
end

-- What USERS holds of somebody, as a member of ORDER; nil for who is not on the board.
local function member_of(user, value)
  return value and #value == 24 and sub(value, 1, 16) .. user or nil
end
