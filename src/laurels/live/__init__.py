"""From COMMIT to the screen.

protocol   what the frames say, and what the close codes mean (docs/protocol.md); no sockets
framing    WebSocket frames as bytes
session    one client's conversation: frames in, what is to be done out
feed       one board at one size: versions, snapshots, deltas; pure
audience   who watches one feed, and what they are sent
mine       everybody's own places;  activity  what is being completed
viewer     the outgoing half of one connection;  pulse  who is still there;  seats  how many may be
user_sockets  how many a user may hold over all nodes
hub        who follows what, what has moved, and the tasks that tell them
bus        what other nodes have moved
"""
