-- Return how far the window is, and which batches are not in MARKS.
--
-- ARGV  ids of batches, any number
-- Returns seq, members, then those of the ids that are not marked. O(k log n) for k ids.
local reply = { seq, total }
for _, batch in ipairs(ARGV) do
  if not call('ZSCORE', MARKS, batch) then reply[#reply + 1] = tonumber(batch) end
end
return reply
