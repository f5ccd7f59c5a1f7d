"""The statements of the hot path, one file each, named by what they do."""

from importlib import resources


def _read(name: str) -> str:
    return (resources.files(__package__) / f"{name}.sql").read_text()


LOCK_USERS = _read("lock_users")
LOAD_BATCH = _read("load_batch")
WRITE_BATCH = _read("write_batch")
