"""HTTP itself, and the only package that knows aiohttp's server. It knows nothing of users, boards or actions.

server           serving an application on a socket, on connections of ours
application      the endpoints, known to the router and to aiohttp's resolver
connection       one connection: coalesced writes, malformed HTTP, unread bodies
upgrade          taking the transport over, to speak another protocol on it
router           from a path straight to its endpoint
bodies, decode   reading a body within bounds; strict JSON and query parameters as structs
responses        replies whose head and body leave in one write
problems         refusals as RFC 9457 problem details
messages         the types of requests and responses that other packages name
aiohttp_private  every private name of aiohttp that is used
forwarded        the client's address behind proxies
origins          CORS: which pages of other sites may call the API
request_ids      ids of requests
"""
