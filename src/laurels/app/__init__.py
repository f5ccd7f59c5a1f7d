"""The use cases, each written once. HTTP, WebSocket and command line decode and encode; what happens is decided here.

submissions  an action as it was sent, checked and turned into what the ledger judges
"""
