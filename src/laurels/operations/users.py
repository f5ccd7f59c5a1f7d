"""Accounts and signing keys."""

from __future__ import annotations

from typing import Literal
from uuid import uuid4

from ..config import Settings
from ..database import database
from ..domain.email import check_email
from ..domain.names import parse_name, similar_keys
from ..domain.standings import INT64_MAX, INT64_MIN
from ..ledger.accounts import sanctions
from ..ledger.accounts.accounts import AccountRecord, Accounts
from ..ledger.accounts.directory import Directory
from ..ledger.accounts.name_guard import NameGuard
from ..ledger.accounts.sanctions import Sanction
from ..ledger.accounts.sessions import Sessions
from ..ledger.accounts.user_editor import EditedUser, UserEditor, UserFilter
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.db.paging import MAX_PAGE, Page
from ..ledger.db.pool import Pool
from ..ledger.db.replicas import Reads
from ..web.auth.access_tokens import new_signing_key
from ..web.auth.passwords import Passwords
from .changes import changing
from .operator import operator

Role = Literal["player", "moderator", "admin"]
Status = Literal["active", "shadowed", "banned", "erased"]
Sort = Literal["newest", "name", "score"]


async def create_user(
    settings: Settings, username: str, email: str | None, password: str, role: Role, *, allow_similar: bool = False
) -> AccountRecord:
    """`allow_similar`: also next to an operator's or a reserved name."""
    passwords, name = Passwords(1), parse_name(username)
    if email is not None:
        check_email(email)
    async with database(settings) as pool:
        hashed = await passwords.hash(password)
        accounts = Accounts(pool, uuid4(), NameGuard(similar_keys(settings.reserved)))
        return await accounts.create(name, email, hashed, role, operator(), allow_similar=allow_similar)


async def list_users(settings: Settings, wanted: UserFilter, sort: Sort, limit: int) -> list[EditedUser]:
    """The first `limit`: newest first, by name, or best first."""
    found: list[EditedUser] = []
    cursor = None
    async with database(settings) as pool:
        catalogue = Catalogue(pool)
        await catalogue.refresh()
        while len(found) < limit:
            page = await _page(pool, catalogue, wanted, sort, cursor, min(MAX_PAGE, limit - len(found)))
            found += page.rows
            cursor = page.next
            if cursor is None:
                break
    return found


async def get_user(settings: Settings, username: str) -> EditedUser:
    async with database(settings) as pool:
        return await UserEditor(pool, uuid4()).get(await _any_user(pool, username))


async def sanction(settings: Settings, username: str, status: Sanction, reason: str | None) -> bool:
    """False: was so already."""
    act = {"active": sanctions.lift, "shadowed": sanctions.shadow, "banned": sanctions.ban}[status]
    async with changing(settings) as pool:
        return await act(pool, operator(), await _any_user(pool, username), reason)


async def set_role(settings: Settings, username: str, role: Role, *, allow_similar: bool = False) -> None:
    async with changing(settings) as pool:
        editor, user_id = UserEditor(pool, uuid4()), await _any_user(pool, username)
        await editor.set_role(user_id, role, operator(), allow_similar=allow_similar)


async def set_password(settings: Settings, username: str, password: str) -> None:
    async with changing(settings) as pool:
        hashed = await Passwords(1).hash(password)
        await UserEditor(pool, uuid4()).set_password(await _any_user(pool, username), hashed, operator())


async def end_sessions(settings: Settings, username: str, reason: str | None) -> None:
    """Log a user out everywhere."""
    async with changing(settings) as pool:
        await Sessions(pool).end_all(await _any_user(pool, username), operator(), reason)


async def rotate_keys(settings: Settings) -> str:
    kid, jwk = new_signing_key()
    async with changing(settings) as pool:
        await Accounts(pool, uuid4()).rotate_signing_key(kid, jwk)
    return kid


async def _page(
    pool: Pool, catalogue: Catalogue, wanted: UserFilter, sort: Sort, cursor: str | None, limit: int
) -> Page[EditedUser]:
    editor = UserEditor(pool, uuid4())
    if sort == "score":
        window = await catalogue.window(catalogue.default_board)
        return await editor.by_score(window, wanted, (INT64_MIN, INT64_MAX), cursor, limit)
    return await (editor.by_name if sort == "name" else editor.newest)(wanted, cursor, limit)


async def _any_user(pool: Pool, username: str) -> int:
    return await Directory(Reads(pool)).find_any(username)
