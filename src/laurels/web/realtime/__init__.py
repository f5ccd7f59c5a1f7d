"""Live connections.

upgrade             GET /api/live: from an HTTP request to an open WebSocket
handshake           which handshakes are accepted, and taking the transport over from the HTTP server
framed_connection   WebSocket frames: reading in bounded turns, control frames, closing
websocket           the live protocol over such a connection: authenticating, subscribing, submitting actions
frames              the frames that clients send and get, where they hold members of the HTTP API
submitters          completing actions over a socket, for a user or for a server
sse                 GET /api/live/events: one channel as Server-Sent Events
"""
