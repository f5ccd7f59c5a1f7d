-- Return consecutive places, and the rank of the first, from which the others follow.
--
-- ARGV  1 user id (8 bytes) to read around, or empty: from the top
--       2 how many: the top, or the radius
-- Returns seq, members, ordinal and rank of the first place, then the order keys;
--         nothing after members for a user who is not on the board. O(log n + k).
local first, last = 0, tonumber(ARGV[2]) - 1
if ARGV[1] ~= '' then
  local me = member_of(ARGV[1], call('HGET', USERS, ARGV[1]))
  if not me then return { seq, total } end
  local at = call('ZRANK', ORDER, me)
  first, last = math.max(0, at - tonumber(ARGV[2])), at + tonumber(ARGV[2])
end
local found = call('ZRANGE', ORDER, first, last)
if #found == 0 then return { seq, total } end
return { seq, total, first + 1, rank(found[1]), unpack(found) }
