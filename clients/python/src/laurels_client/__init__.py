"""Client for Laurels: complete actions, read boards, follow them live. Needs aiohttp and msgspec.

    async with Laurels("https://laurels.example.org", token=token) as laurels:
        receipt = await laurels.complete("lesson", "lesson-17")

asynchronous, blocking   the client, and the same for code without an event loop
live              follows a board over as many connections as needed
messages, batch   requests and replies; batches of any size
outcome           failures, and whether sending again helps
address           checks the server's address
"""

from .asynchronous import Laurels
from .blocking import BlockingLaurels
from .messages import Action, Board, Page, Place, RankRow, Ranks, Receipt, Result, Row, Ticket, User, Window
from .outcome import LaurelsFailure, Refused, Unsettled

__all__ = [
    "Action",
    "BlockingLaurels",
    "Board",
    "Laurels",
    "LaurelsFailure",
    "Page",
    "Place",
    "RankRow",
    "Ranks",
    "Receipt",
    "Refused",
    "Result",
    "Row",
    "Ticket",
    "Unsettled",
    "User",
    "Window",
]
