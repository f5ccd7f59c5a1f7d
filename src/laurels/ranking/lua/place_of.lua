-- Where a standing that is not on the board would stand.
--
-- ARGV  1 its order key
-- Returns seq, members, rank. O(log n).
local border = TIES == 'ordinal' and ARGV[1] or sub(ARGV[1], 1, 8)
return { seq, total, call('ZLEXCOUNT', TIES == 'dense' and SCORES or ORDER, '-', '(' .. border) + 1 }
