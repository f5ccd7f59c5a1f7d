"""The edge: HTTP in, structs through, problem+json or JSON out. The only room that knows aiohttp.

routes     the table of every endpoint: path, structs, access, limits, what may go wrong
wire       what requests and replies look like
edge       from a route to an aiohttp handler: the order in which a request is checked; server: what is beneath it
handlers/  one function per endpoint, thin: wire -> ledger or ranking -> wire
tokens     access tokens; passwords: argon2; limits: request rates; problems: refusals as RFC 9457
origins    pages of other sites that may call the API
openapi    the OpenAPI document, made from the routes
socket     the live WebSocket
"""
