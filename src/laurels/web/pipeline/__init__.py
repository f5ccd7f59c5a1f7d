"""From an HTTP request to the call of a handler.

routing       every route and the fallback, as the HTTP server takes them
endpoint      one route: the order in which a request is checked
route         Route: everything that is enforced and documented of one endpoint
binding       the contexts that a handler asks for
call          Call: what a handler sees of a request
"""
