-- Create an empty window on this server. Runs after LAYOUT alone, without window.lua: there is no window yet.
--
-- KEYS  as in window.lua
-- ARGV  1 ties  2 first seq
-- Returns the server's run id. O(1); the keys it replaces are freed in the background.
redis.call('UNLINK', unpack(KEYS))
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
redis.call('HSET', KEYS[6], 'layout', LAYOUT, 'server', server, 'ties', ARGV[1], 'seq', ARGV[2], 'members', 0)
return server
