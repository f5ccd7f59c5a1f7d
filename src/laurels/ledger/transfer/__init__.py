"""Export users, action types and the ledger, and import them from another Laurels or another system.

records    one struct per kind of row: the members of a line of a file
exporting  rows in pages, all of one instant
users, types, history   import in batches; existing rows are left alone, so that a file may be sent again
comparing  whether a line equals the stored row
folding    standings and counters of the users whose history was imported

History is written first and folded afterwards; `pending_refolds` holds the users. A row counts in the windows that
cover its `created_at`; missing windows of the past are created.
"""

from __future__ import annotations

from .exporting import count, export_ledger, export_types, export_users
from .folding import analyse, fold_imported, left_to_fold
from .history import import_history
from .records import BadRow, BatchStopped, ImportTally, LedgerRecord, Line, NotStorable, TypeRecord, UserRecord
from .types import import_types
from .users import import_users

__all__ = [
    "BadRow",
    "BatchStopped",
    "ImportTally",
    "LedgerRecord",
    "Line",
    "NotStorable",
    "TypeRecord",
    "UserRecord",
    "analyse",
    "count",
    "export_ledger",
    "export_types",
    "export_users",
    "fold_imported",
    "import_history",
    "import_types",
    "import_users",
    "left_to_fold",
]
