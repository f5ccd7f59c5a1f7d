"""Laurels: live scoreboards nobody can cheat, and no point is ever lost.

The rooms, top to bottom; a room may import only from rooms below it:

    cli -> runtime -> web -> live -> ranking -> ledger -> domain

ARCHITECTURE.md draws the way of one action through them.
"""

from importlib.metadata import version

__version__ = version("laurels")
