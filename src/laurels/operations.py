"""What the operator's commands do: each opens the ledger, does one thing, and closes it.

Commands that concern a running node ask it over HTTP with an admin token of one minute, signed with
the ledger's own key: whoever may read the ledger's keys may ask its nodes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

import aiohttp
import msgspec

from .config import Settings
from .domain.names import parse_name
from .ledger import migrations, repair, snapshots
from .ledger.accounts import Account, Accounts
from .ledger.catalogue import Catalogue
from .ledger.directory import Directory
from .ledger.pool import Pool
from .ledger.snapshots import Snapshot
from .ranking.verify import prove
from .runtime import connection, database
from .web.passwords import Passwords
from .web.tokens import Tokens, new_signing_key
from .web.wire import IndexReport

Role = Literal["player", "moderator", "admin"]
NODE_TIMEOUT = aiohttp.ClientTimeout(total=600, connect=2)


class NotDone(Exception):
    """What was asked can't be done; the message is the operator's line."""


@dataclass(frozen=True, slots=True)
class WindowVerification:
    """Counts of standings that disagree. `node_drift` None: no node was asked."""

    board: str
    standings: int
    unfolded: int | None
    misranked: int
    node_drift: int | None

    @property
    def clean(self) -> bool:
        return not self.unfolded and not self.misranked and not self.node_drift


@dataclass(frozen=True, slots=True)
class Verification:
    windows: list[WindowVerification]
    node_note: str

    @property
    def clean(self) -> bool:
        return all(window.clean for window in self.windows)


@dataclass(frozen=True, slots=True)
class Repair:
    repaired: int
    verification: Verification


async def verify(settings: Settings, node: str | None) -> Verification:
    """Ledger against standings, standings against a sort, and the running node's index against both."""
    async with database(settings) as pool:
        return await _verify(settings, pool, node, "verify")


async def rebuild(settings: Settings, node: str | None) -> Repair:
    """Fold standings that differ from the ledger anew, then have the running node rebuild its index."""
    async with database(settings) as pool:
        catalogue = Catalogue(pool)
        await catalogue.refresh()
        repaired = 0
        for window in await catalogue.windows_at(datetime.now(UTC)):
            repaired += await repair.refold(pool, window, uuid4())
        return Repair(repaired, await _verify(settings, pool, node, "rebuild"))


async def snapshot(settings: Settings) -> list[Snapshot]:
    async with database(settings) as pool:
        catalogue = Catalogue(pool)
        await catalogue.refresh()
        return await snapshots.take(pool, catalogue, uuid4())


async def migrate(settings: Settings) -> list[str]:
    async with connection(settings) as pool:
        return await migrations.migrate(pool)


async def create_user(settings: Settings, username: str, email: str | None, password: str, role: Role) -> Account:
    passwords = Passwords(1)
    async with database(settings) as pool:
        hashed = await passwords.hash(password)
        return await Accounts(pool, uuid4()).create(parse_name(username), email, hashed, role)


async def set_status(settings: Settings, username: str, status: Literal["active", "banned"]) -> None:
    async with database(settings) as pool:
        await Accounts(pool, uuid4()).set_status(await _any_user(pool, username), status)


async def set_role(settings: Settings, username: str, role: Role) -> None:
    async with database(settings) as pool:
        await Accounts(pool, uuid4()).set_role(await _any_user(pool, username), role)


async def set_password(settings: Settings, username: str, password: str) -> None:
    async with database(settings) as pool:
        hashed = await Passwords(1).hash(password)
        await Accounts(pool, uuid4()).set_password(await _any_user(pool, username), hashed)


async def rotate_keys(settings: Settings) -> str:
    kid, jwk = new_signing_key()
    async with database(settings) as pool:
        await Accounts(pool, uuid4()).rotate_signing_key(kid, jwk)
    return kid


async def _any_user(pool: Pool, username: str) -> int:
    return await Directory(pool).find(username, blocked_too=True)


async def _verify(settings: Settings, pool: Pool, node: str | None, act: str) -> Verification:
    drift_of_node, note = await _ask_node(settings, pool, node, act)
    catalogue = Catalogue(pool)
    await catalogue.refresh()
    windows = []
    for window in await catalogue.windows_at(datetime.now(UTC)):
        proof = await prove(pool, window)
        slug = window.board.slug
        windows.append(WindowVerification(slug, **asdict(proof), node_drift=drift_of_node.get(slug)))
    return Verification(windows, note)


async def _ask_node(settings: Settings, pool: Pool, node: str | None, act: str) -> tuple[dict[str, int], str]:
    """Board -> drift as the running node reports it, and what to tell the operator about it.

    Raises NotDone when the node that was named can't be asked; one that was only guessed may be absent.
    """
    address = (node or settings.url).rstrip("/")
    accounts, tokens = Accounts(pool, uuid4()), Tokens(60)
    tokens.use(await accounts.signing_keys())
    admin = await accounts.first_admin()
    if admin is None and node is not None:
        raise NotDone("only an admin may ask a node, and there is none: `laurels user role NAME admin`")
    if admin is None:
        return {}, "There is no admin account, so no node was asked."
    try:
        report = await _order(f"{address}/api/admin/index/{act}", tokens.issue(admin))
    except NotDone as error:
        if node is not None:
            raise
        return {}, f"Only the ledger was checked: {error}."
    return {window.board: window.drift for window in report.windows}, f"Asked the node at {address}."


async def _order(url: str, token: str) -> IndexReport:
    """Raises NotDone, saying who did not do it and why."""
    place = url.rpartition("/api/admin/")[0]
    try:
        async with (
            aiohttp.ClientSession(timeout=NODE_TIMEOUT, headers={"Authorization": f"Bearer {token}"}) as session,
            session.post(url) as reply,
        ):
            body = await reply.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NotDone(f"no node answers at {place}") from error
    if reply.status == 401:
        raise NotDone(f"the node at {place} serves another ledger")
    try:
        if reply.status == 200:
            return msgspec.json.decode(body, type=IndexReport)
    except msgspec.DecodeError:
        pass
    words = body[:200].decode(errors="replace")
    raise NotDone(f"what runs at {place} answered {reply.status}: {words}")
