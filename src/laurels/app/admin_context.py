"""The opened ledger with its editors, as the use cases of operators take it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from ..ledger.accounts.accounts import Accounts
from ..ledger.accounts.api_keys import ApiKeys
from ..ledger.accounts.directory import Directory
from ..ledger.accounts.sessions import Sessions
from ..ledger.accounts.user_editor import UserEditor
from ..ledger.catalogue.board_editor import BoardEditor
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.catalogue.live_settings import SettingsStore
from ..ledger.catalogue.type_editor import TypeEditor
from ..ledger.db.pool import Pool
from ..ledger.db.replicas import Reads


@dataclass(frozen=True, slots=True)
class AdminContext:
    """The parts that operators' use cases work with: of a running node, or of a command that opened the ledger.

    `node_id` marks what this process writes into the journal as its own. The caller refreshes `catalogue` and
    `settings`: a node keeps them current anyway.
    """

    node_id: UUID
    pool: Pool
    reads: Reads
    catalogue: Catalogue
    directory: Directory
    accounts: Accounts
    sessions: Sessions
    users: UserEditor
    types: TypeEditor
    boards: BoardEditor
    api_keys: ApiKeys
    settings: SettingsStore
