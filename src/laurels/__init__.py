"""Laurels: live scoreboards that resist cheating and never lose an acknowledged point.

The rooms, top to bottom; a room may import only from rooms below it:

    cli -> runtime -> web -> live -> ranking -> ledger -> domain

ARCHITECTURE.md draws the way of one action through them.
"""

from importlib.metadata import version

__version__ = version("laurels")
