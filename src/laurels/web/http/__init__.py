"""From bytes to a call of a handler, and back.

server        aiohttp's server with our connections and router
connection    one HTTP connection: coalesced writes, malformed HTTP, upgrade
router        from a path straight to its endpoint
edge          the order in which a request is checked
call          Route, Call and Reply: what handlers see
decode        strict JSON and query parameters
responses     replies whose head and body leave in one write
problems      refusals as RFC 9457 problem details
origins       CORS: pages of other sites that may call the API
"""
