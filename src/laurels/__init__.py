"""Laurels: live scoreboards that resist cheating and never lose an acknowledged point.

The packages, top to bottom; each imports only from those below it:

    cli -> runtime -> web -> app -> live -> ranking -> ledger -> domain

ARCHITECTURE.md draws the way of one action through them.
"""

from importlib.metadata import version

__version__ = version("laurels")
