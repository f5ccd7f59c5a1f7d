"""HTTP in, structs through, problem+json or JSON out. Use cases are in `app`. Each line imports only those below it.

roles              the routes that each role of a node serves
api/, static/      one file per area (structs, handlers, routes), the table of endpoints, its documents; the pages
realtime/          WebSocket and Server-Sent Events
pipeline/, inputs  from a request to its handler, in the order of the checks; requests that sockets send too
context, fields    what pipeline and live connections work with; kinds of members that requests share
auth/, limits/     the caller, and what the caller may do; request rates and failed log-ins
http/              connections, routing, decoding, replies: all that knows aiohttp's server
"""
