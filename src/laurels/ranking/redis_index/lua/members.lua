-- Return a page of the board to compare it with the ledger: versions and order keys.
--
-- ARGV  1 first and 2 last position, 0-based  3 how many random members instead; 0: none
-- Returns version .. order key, 32 bytes each, in one string. O(log n + k).
local found = ARGV[3] ~= '0' and call('ZRANDMEMBER', ORDER, ARGV[3])
  or call('ZRANGE', ORDER, ARGV[1], ARGV[2])
local users = {}
for n, member in ipairs(found) do users[n] = sub(member, 17) end
local held = #users > 0 and call('HMGET', USERS, unpack(users)) or {}
for n, member in ipairs(found) do
  found[n] = sub(held[n] or '\0\0\0\0\0\0\0\0', 1, 8) .. member
end
return table.concat(found)
