"""From COMMIT to the screen.

protocol   what a frame says, and what a close code means; no sockets
hub        who watches what, conflation, bounded outboxes
"""
