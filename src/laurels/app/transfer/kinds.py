"""Kinds of rows, formats, and what to do about a bad row, as the command line names them.

Apart from the other modules because it imports nothing: `laurels --help` reads it.
"""

from __future__ import annotations

from typing import Literal

Format = Literal["csv", "jsonl"]
What = Literal["users", "action-types", "ledger"]
OnError = Literal["stop", "skip"]
