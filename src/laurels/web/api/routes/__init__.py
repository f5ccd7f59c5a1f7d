"""The table of every endpoint, one module per tag. To add one: a struct in `wire`, a function in `handlers`,
an entry in the module of its tag here. `codes` names groups of refusals that several routes share.
"""

from __future__ import annotations

from ...http.call import Route
from .accounts import ACCOUNTS
from .actions import ACTIONS
from .admin_catalogue import ADMIN_CATALOGUE
from .admin_fairness import ADMIN_FAIRNESS
from .admin_service import ADMIN_SERVICE
from .admin_users import ADMIN_USERS
from .boards import BOARDS
from .keys import KEYS
from .live import LIVE
from .mine import MINE
from .operations import OPERATIONS
from .pages import PAGES
from .people import PEOPLE
from .server import SERVER

ROUTES: tuple[Route, ...] = (
    *ACTIONS,
    *SERVER,
    *BOARDS,
    *LIVE,
    *PEOPLE,
    *ACCOUNTS,
    *MINE,
    *KEYS,
    *OPERATIONS,
    *ADMIN_CATALOGUE,
    *ADMIN_USERS,
    *ADMIN_FAIRNESS,
    *ADMIN_SERVICE,
    *PAGES,
)
