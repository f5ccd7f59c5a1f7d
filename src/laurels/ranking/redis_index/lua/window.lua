-- One window of the index. This text stands before every other script, after the LAYOUT that scripts.py sets.
--
-- KEYS  1 order   ZSET of 24-byte order keys, whose byte order is "best first". The ZSET score is the double nearest
--                 to a key's score; Redis compares the keys only where those are equal. The order is the same,
--                 because rounding never swaps two numbers, and comparing keys, which costs most, is rare
--       2 users   HASH user id -> version .. score and reached_at (the order key's first 16 bytes);
--                 removed users: the version alone, so that an older change can't bring them back
--       3 scores  ZSET of the distinct scores, all with score 0; used where ties are dense
--       4 counts  HASH score -> how many have it;               used where ties are dense
--       5 marks   ZSET of the last batches that were applied, scored by their id
--       6 state   HASH layout, server, ties, seq, members
--
-- Scores, instants, versions and user ids are 8 bytes, big-endian; see domain/standings.py for the order key.
-- All keys of a window share a hash tag, so that a script runs on one node of a Redis Cluster.
--
-- Refuse a window that was built on another server, before a restart, in another layout, or is incomplete. O(1).
local call, sub, unpacked = redis.call, string.sub, struct.unpack
local ORDER, USERS, SCORES, COUNTS, MARKS, STATE = unpack(KEYS)
local state = call('HMGET', STATE, 'server', 'ties', 'seq', 'members', 'layout')
local built_on, TIES, seq, total = state[1], state[2], tonumber(state[3]), call('ZCARD', ORDER)
if not built_on
  or state[5] ~= LAYOUT
  or not string.find(call('INFO', 'server'), 'run_id:' .. built_on, 1, true)
  or tonumber(state[4]) ~= total
  or call('HLEN', USERS) < total
  or TIES == 'dense' and total > 0 and call('ZCARD', SCORES) ~= math.max(1, call('HLEN', COUNTS))
then
  return redis.error_reply('GONE')
end

-- Return the double nearest to the score that a key begins with, as text.
local function nearest(key)
  local high, low = unpacked('>I4I4', key)
  return string.format('%.0f', (high - 2147483648) * 4294967296 + low)
end

-- Compare bytes, as far as `border` goes. Not with Lua's `<`, which compares by locale.
local function precedes(key, border)
  for at = 1, #border, 4 do
    local mine, its = unpacked('>I4', key, at), unpacked('>I4', border, at)
    if mine ~= its then return mine < its end
  end
  return false
end

-- Return how many members stand before a whole key, or before all keys with a score (8 bytes). O(log n); for whole
-- keys, and beyond 2^53 where scores share a double, O(log n log k) for k members that share it.
local function ahead(border)
  local near = nearest(border)
  local first = call('ZCOUNT', ORDER, '-inf', '(' .. near)
  if #border == 8 and math.abs(near) < 9007199254740992 then return first end
  local last = call('ZCOUNT', ORDER, '-inf', near)
  while first < last do
    local middle = math.floor((first + last) / 2)
    if precedes(call('ZRANGE', ORDER, middle, middle)[1], border) then first = middle + 1 else last = middle end
  end
  return first
end

-- Return the 1-based rank of a member under the tie policy. O(log n).
local ordinal, dense = TIES == 'ordinal', TIES == 'dense'
local function rank(member)
  if ordinal then return call('ZRANK', ORDER, member) + 1 end
  local score = sub(member, 1, 8)
  return (dense and call('ZLEXCOUNT', SCORES, '-', '(' .. score) or ahead(score)) + 1
end

-- Return the member of ORDER for a user and the value in USERS; nil for a user who is not on the board.
local function member_of(user, value)
  return value and #value == 24 and sub(value, 9) .. user or nil
end
