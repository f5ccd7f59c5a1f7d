"""The statements of the write path, one file each; the name of a file says what its statement does."""

from collections.abc import Iterable
from importlib import resources


def _read(name: str) -> str:
    return (resources.files(__package__) / f"{name}.sql").read_text()


LOCK_USERS = _read("lock_users")
LOCK_TOTALS = _read("lock_totals")
READ_TOTALS = _read("read_totals")
LOAD_BATCH = _read("load_batch")
LOAD_CLAIMS = _read("load_claims")
LOAD_TICKETS = _read("load_tickets")
WRITE_BATCH = _read("write_batch")
WRITE_SHARED = _read("write_shared")
WRITE_HELD = _read("write_held")
WRITE_TICKETS = _read("write_tickets")


def columns(rows: Iterable[tuple[object, ...]], width: int) -> list[list[object]]:
    """Return the columns of `rows` as the parallel arrays that `unnest` takes; without rows, `width` empty ones."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]
