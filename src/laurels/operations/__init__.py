"""What the operator's commands do: each opens the ledger, does one thing, and closes it.

Commands that concern a running node ask it over HTTP with an admin token of one minute, signed with
the ledger's own key: whoever may read the ledger's keys may ask its nodes.

proof     verify, rebuild, snapshot, migrate
users     accounts and signing keys
api_keys  keys of servers
"""

from ..ledger.api_keys import Scope
from .api_keys import NewApiKey, create_api_key, list_api_keys, revoke_api_key, rotate_api_key
from .errors import NotDone
from .proof import Repair, Verification, WindowVerification, migrate, rebuild, snapshot, verify
from .users import Role, create_user, rotate_keys, set_password, set_role, set_status

__all__ = [
    "NewApiKey",
    "NotDone",
    "Repair",
    "Role",
    "Scope",
    "Verification",
    "WindowVerification",
    "create_api_key",
    "create_user",
    "list_api_keys",
    "migrate",
    "rebuild",
    "revoke_api_key",
    "rotate_api_key",
    "rotate_keys",
    "set_password",
    "set_role",
    "set_status",
    "snapshot",
    "verify",
]
