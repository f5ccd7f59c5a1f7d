"""Users, action types and the ledger, out of one Laurels and into another, or in from something else.

records    one struct per kind of row: what a line of a file may hold
exporting  rows in pages, all of one instant
users, types, history   rows in, in batches; what is there already is left alone, so that a file may be sent again
comparing  whether a line says the same as what is there
folding    standings and counters of the users whose history was imported

History is written first and folded after: `unfolded` names whom. A row counts in the windows that cover its
`created_at`; windows that are over are made where a board had none.
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
