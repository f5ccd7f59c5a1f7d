"""HTTP itself, and the only package that knows aiohttp's server. It knows nothing of users, boards or actions.

server, application, router      endpoints, served on connections of ours
connection, takeover             one connection; taking its transport over
bodies, decode                   reading a body within bounds; strict JSON and parameters as structs
responses, problems              replies in one write; refusals as RFC 9457 problem details
forwarded, origins, request_ids  the client's address behind proxies; CORS; ids
aiohttp_types, aiohttp_private   aiohttp's types for other packages; every private name that is used
"""
