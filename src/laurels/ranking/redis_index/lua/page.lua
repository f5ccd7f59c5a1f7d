-- Consecutive places from a position, or behind an order key, with the values that their ranks follow from.
--
-- ARGV  1 an order key (24 bytes), or empty: start at the position
--       2 the position, 0-based
--       3 how many places
-- Returns seq, members, ordinal and rank of the first place, then the order keys; nothing after members where no place
--         is left. O(log n + k), and O(log n log k) for a key whose score k users share.
local first = tonumber(ARGV[2])
if ARGV[1] ~= '' then
  first = ahead(ARGV[1])
  if call('ZRANGE', ORDER, first, first)[1] == ARGV[1] then first = first + 1 end
end
local found = call('ZRANGE', ORDER, first, first + tonumber(ARGV[3]) - 1)
if #found == 0 then return { seq, total } end
return { seq, total, first + 1, rank(found[1]), unpack(found) }
