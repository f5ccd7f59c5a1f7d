"""The edge: HTTP in, structs through, problem+json or JSON out. The only room that knows aiohttp.

routes     the table of every endpoint: path, structs, access, limits, what may go wrong
wire       what requests and replies look like
edge       from a route to an aiohttp handler: the order in which a request is checked
connection beneath the routes: when a reply leaves, what is no HTTP; server makes them, sending builds replies
handlers/  one function per endpoint, thin: wire -> ledger or ranking -> wire
auth       who is asking and may they: tokens, outsiders (and their issuers, jwks), keyring (and seal), signatures
guesses    bounds on guessing passwords;  known_addresses  from where accounts were logged in to; ticket_office: tickets
tokens     access tokens; passwords: argon2; limits: request rates; problems: refusals as RFC 9457
origins    pages of other sites that may call the API
openapi    the OpenAPI document, made from the routes
socket     the live WebSocket
"""
