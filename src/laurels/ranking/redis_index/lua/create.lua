-- Begins an empty window on this server. Preceded by LAYOUT alone, not by window.lua: there is nothing yet.
--
-- KEYS  as in window.lua
-- ARGV  1 ties  2 seq to begin with
-- O(1), and the keys it replaces are freed in the background.
redis.call('UNLINK', unpack(KEYS))
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
redis.call('HSET', KEYS[6], 'layout', LAYOUT, 'server', server, 'ties', ARGV[1], 'seq', ARGV[2], 'members', 0)
return server
