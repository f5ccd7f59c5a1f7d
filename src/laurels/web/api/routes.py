"""The table of all endpoints, in the order of the API's documentation."""

from __future__ import annotations

from ..pipeline.route import Route
from .accounts import ACCOUNTS
from .action_types import ACTION_TYPES
from .actions import ACTIONS
from .admin_boards import ADMIN_BOARDS
from .admin_fairness import ADMIN_FAIRNESS
from .admin_service import ADMIN_SERVICE
from .admin_types import ADMIN_TYPES
from .admin_users import ADMIN_USERS
from .api_keys import KEYS
from .boards import BOARDS
from .health import HEALTH
from .live import LIVE
from .own_data import MINE
from .pages import PAGES
from .people import PEOPLE
from .receipts import RECEIPTS
from .server_actions import SERVER

ROUTES: tuple[Route, ...] = (
    *ACTIONS,
    *RECEIPTS,
    *ACTION_TYPES,
    *SERVER,
    *BOARDS,
    *LIVE,
    *PEOPLE,
    *ACCOUNTS,
    *MINE,
    *KEYS,
    *HEALTH,
    *ADMIN_TYPES,
    *ADMIN_BOARDS,
    *ADMIN_USERS,
    *ADMIN_FAIRNESS,
    *ADMIN_SERVICE,
    *PAGES,
)
