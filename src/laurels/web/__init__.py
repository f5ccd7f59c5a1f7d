"""HTTP in, structs through, problem+json or JSON out. The only package that knows aiohttp.

http/       connections, routing, decoding, replies; the order in which a request is checked
auth/       who is calling, and what they may do: tokens, API keys, signatures, passwords
limits/     request rates, per node and over all nodes
realtime/   WebSocket and Server-Sent Events
api/        one file per area (structs, handlers, routes), the table of endpoints, OpenAPI and AsyncAPI documents
static/     the pages
roles       which routes each role of a node serves
services    what the handlers work with
"""
