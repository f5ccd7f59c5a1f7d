"""What the operator's commands do: each opens the ledger, does one thing, and closes it.

Commands that concern a running node ask it over HTTP with an admin token of one minute, signed with
the ledger's own key: whoever may read the ledger's keys may ask its nodes.

proof     verify, rebuild, snapshot, migrate
users     accounts and signing keys
api_keys  keys of servers
catalogue action types and boards
service   the audit trail, settings that change while nodes run
fairness  reviews, reversals, adjustments, erasure
operator  who types the commands
changes   the ledger, for what every running node must apply before the command ends
transfer  import and export: files writes records, reading reads them, text has the lines of a file
explaining  why a value is refused, in words for people
"""

from ..domain.authorization import Scope
from ..ledger.accounts.user_editor import EditedUser, UserFilter
from ..ledger.catalogue.board_editor import BoardDraft, EditedBoard
from ..ledger.catalogue.live_settings import SettingsStore, meaning
from ..ledger.catalogue.type_editor import EditedType, TypeDraft
from ..ledger.corrections.corrections import Correction
from ..ledger.corrections.review import Decided
from ..ledger.events.audit import AuditFilter
from ..ledger.events.audit import AuditRecord as AuditEntry
from .api_keys import NewApiKey, create_api_key, list_api_keys, revoke_api_key, rotate_api_key
from .catalogue import (
    DryRunInput,
    create_board,
    create_type,
    edit_board,
    edit_type,
    get_type,
    list_boards,
    list_types,
    try_type,
)
from .errors import CommandFailed
from .fairness import (
    adjust,
    approve,
    erase,
    list_held,
    read_ledger,
    reject,
    reverse,
)
from .files import Format, format_of
from .proof import Repair, Verification, WindowVerification, migrate, rebuild, snapshot, verify
from .service import live_settings, read_audit, set_live_setting
from .transfer import Imported, OnError, Progress, What, export_rows, import_rows
from .users import (
    Role,
    Sort,
    Status,
    create_user,
    end_sessions,
    get_user,
    list_users,
    rotate_keys,
    sanction,
    set_password,
    set_role,
)

__all__ = [
    "AuditEntry",
    "AuditFilter",
    "BoardDraft",
    "CommandFailed",
    "Correction",
    "Decided",
    "DryRunInput",
    "EditedBoard",
    "EditedType",
    "EditedUser",
    "Format",
    "Imported",
    "NewApiKey",
    "OnError",
    "Progress",
    "Repair",
    "Role",
    "Scope",
    "SettingsStore",
    "Sort",
    "Status",
    "TypeDraft",
    "UserFilter",
    "Verification",
    "What",
    "WindowVerification",
    "adjust",
    "approve",
    "create_api_key",
    "create_board",
    "create_type",
    "create_user",
    "edit_board",
    "edit_type",
    "end_sessions",
    "erase",
    "export_rows",
    "format_of",
    "get_type",
    "get_user",
    "import_rows",
    "list_api_keys",
    "list_boards",
    "list_held",
    "list_types",
    "list_users",
    "live_settings",
    "meaning",
    "migrate",
    "read_audit",
    "read_ledger",
    "rebuild",
    "reject",
    "reverse",
    "revoke_api_key",
    "rotate_api_key",
    "rotate_keys",
    "sanction",
    "set_live_setting",
    "set_password",
    "set_role",
    "snapshot",
    "try_type",
    "verify",
]
