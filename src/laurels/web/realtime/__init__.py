"""Live connections.

handshake    who may open one, and taking the transport over from the HTTP server
websocket    the WebSocket connection
sse          the Server-Sent Events connection
submitters   completing actions over a socket, for a user or for a server
"""
