-- Return the places of these users.
--
-- ARGV  1 user ids, 8 bytes each
-- Returns seq, members, then for each user the rank (0: none) and the value in USERS ('' for none). O(k log n) for k users.
local reply = { seq, total }
local users = {}
for at = 1, #ARGV[1], 8 do
  users[#users + 1] = sub(ARGV[1], at, at + 7)
end
local held = #users > 0 and call('HMGET', USERS, unpack(users)) or {}
for n, user in ipairs(users) do
  local member = member_of(user, held[n])
  reply[#reply + 1] = member and rank(member) or 0
  reply[#reply + 1] = held[n] or ''
end
return reply
