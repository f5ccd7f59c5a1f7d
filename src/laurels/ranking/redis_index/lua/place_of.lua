-- Return the place that a standing which is not on the board would take.
--
-- ARGV  1 its order key
-- Returns seq, members, rank. O(log n log k) for k who share its score.
local key = ARGV[1]
local place = ordinal and ahead(key) + 1 or rank(key)
return { seq, total, place }
