-- A stretch of the board, with what ranks follow from.
--
-- ARGV  1 user id (8 bytes) around whom, or empty: from the top
--       2 how many: the top, or the radius
-- Returns seq, members, ordinal and rank of the first of the stretch, then its order keys;
--         nothing after members for who is not on the board. O(log n + k).
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
