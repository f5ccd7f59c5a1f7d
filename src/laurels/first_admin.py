"""Create the first admin of an empty ledger, and hand the password to the operator without logging it.

In order of preference: the operator set it (LAURELS_ADMIN_PASSWORD_FILE); it is printed on the terminal that started
the node; it is written to a file in the data folder that only the node's user may read.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from .config import Settings
from .domain.errors import LaurelsError
from .domain.names import parse_name
from .ledger.accounts.accounts import Accounts
from .web.auth.passwords import Passwords

log = structlog.get_logger(__name__)

FILE = "admin-password"


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """A first admin that was just created. `password`: to be shown once; None when it is known or in a file."""

    username: str
    password: str | None


async def make_first_admin(
    accounts: Accounts, passwords: Passwords, settings: Settings, *, shown: bool
) -> FirstAdmin | None:
    """Create an admin if there is none. `shown`: the caller shows the password to a person, so no file is written."""
    if await accounts.any_admin():
        if not await accounts.any_admin_can_log_in():
            log.warning("no admin can log in: give one a password with `laurels user password NAME`")
        return None
    if settings.admin_password:
        return await _create(accounts, passwords, settings.admin_password, source="LAURELS_ADMIN_PASSWORD")
    password = secrets.token_urlsafe(12)
    if shown:
        made = await _create(accounts, passwords, password)
        return None if made is None else FirstAdmin(made.username, password)
    try:
        return await _create_with_file(accounts, passwords, settings.data, password)
    except OSError as error:
        log.warning(
            "no first admin created: the password file can't be written. Set LAURELS_ADMIN_PASSWORD_FILE or "
            "LAURELS_DATA, or run `laurels user create NAME --role admin`",
            folder=str(settings.data),
            reason=error.strerror,
        )
        return None


async def _create_with_file(accounts: Accounts, passwords: Passwords, folder: Path, password: str) -> FirstAdmin | None:
    """Write the password before the account is created, and give the file its final name afterwards.

    Of several nodes that start at once one creates the account; the others leave no file.
    """
    part = _write_password(folder, password)
    made = await _create(accounts, passwords, password, password_file=str(folder / FILE))
    if made is None:
        part.unlink()
    else:
        part.replace(folder / FILE)
    return made


async def _create(accounts: Accounts, passwords: Passwords, password: str, **log_fields: str) -> FirstAdmin | None:
    hashed = await passwords.hash(password)
    try:
        account = await accounts.create(parse_name("admin"), None, hashed, "admin", allow_similar=True)
    except LaurelsError as error:
        log.warning("no first admin created", reason=error.detail)
        return None
    log.info("first admin created", username=account.username, **log_fields)
    return FirstAdmin(account.username, None)


def _write_password(folder: Path, password: str) -> Path:
    """Write the password durably to a file that only its owner may read; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f"{FILE}.", dir=folder)  # mode 0600
    with open(descriptor, "w", encoding="ascii") as stream:  # noqa: PTH123  a descriptor
        stream.write(password + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return Path(name)
