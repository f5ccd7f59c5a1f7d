"""Live boards: from COMMIT to the screen.

protocol           frames and close codes (docs/protocol.md); no sockets
framing            WebSocket frames as bytes
session            one client's conversation: frames in, effects out
client_connection  the outgoing half of one connection, and the listener that it reports to
feed               one board at one size: versions, snapshots, deltas; pure
topic              the subscribers of one feed, and what they are sent
personal_ranks     each user's own ranks
activity_feed      recently completed actions
keepalive          heartbeats, pings, and eviction of slow consumers
connection_limits  connections per node, address and user
user_sockets       connections per user over all nodes
hub                subscriptions, changes, and the tasks that send them
bus                messages between nodes about what changed
"""
