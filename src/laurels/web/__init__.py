"""HTTP in, structs through, problem+json or JSON out. Use cases are in `app`.

http/       connections, routing, decoding, replies: all that knows aiohttp
limits/     request rates, per node and over all nodes
auth/       the caller of a request, and what the caller may do: tokens, API keys, signatures, passwords
pipeline/   from a request to its handler: the order in which it is checked
realtime/   WebSocket and Server-Sent Events
api/        one file per area (structs, handlers, routes), the table of endpoints, OpenAPI and AsyncAPI documents
static/     the pages
roles       the routes that each role of a node serves
inputs      requests that arrive over HTTP and over the WebSocket;  fields: kinds of members that requests share
context     what the pipeline and live connections work with
"""
