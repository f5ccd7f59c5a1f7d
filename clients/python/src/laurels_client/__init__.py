"""Laurels for your Python server: complete actions, read boards, follow them live.

    async with Laurels("https://laurels.example.org", token=token) as laurels:
        receipt = await laurels.complete("lesson", "lesson-17")

live           following a board, over as many connections as it takes
messages       what requests and replies look like
address        what an address must look like
outcome        what went wrong, and whether sending again helps
asynchronous   one session, retries that cannot count twice;  blocking: the same for code without an event loop

Every action has an identifier before it is first sent and keeps it until its outcome is known, so
a lost reply, a restart of the server or a 503 never counts it twice. Needs aiohttp and msgspec, and
nothing of the service.
"""

from .asynchronous import Laurels
from .blocking import BlockingLaurels
from .messages import Action, Board, Place, Receipt, Result, Row, Ticket, User, Window
from .outcome import LaurelsFailure, Refused, Unsettled

__all__ = [
    "Action",
    "BlockingLaurels",
    "Board",
    "Laurels",
    "LaurelsFailure",
    "Place",
    "Receipt",
    "Refused",
    "Result",
    "Row",
    "Ticket",
    "Unsettled",
    "User",
    "Window",
]
