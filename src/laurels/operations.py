"""What the operator's commands do: each opens the ledger, does one thing, and closes it.

Commands that concern a running node ask it over HTTP with an admin token of one minute, signed with
the ledger's own key: whoever may read the ledger's keys may ask its nodes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal, get_args
from uuid import uuid4

import aiohttp
import msgspec

from .config import Settings
from .domain.names import parse_name
from .ledger import migrations, repair
from .ledger.accounts import Account, Accounts
from .ledger.catalogue import Catalogue
from .ledger.directory import Directory
from .ledger.pool import DatabaseUnusable, Pool
from .ledger.snapshots import Snapshot, freeze, record_ranks
from .ranking.verify import prove
from .runtime import connection, database
from .web.passwords import Passwords
from .web.tokens import Tokens, new_signing_key
from .web.wire import IndexReport

Role = Literal["player", "moderator", "admin"]
NODE_TIMEOUT = aiohttp.ClientTimeout(total=600, connect=2)


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
        taken = []
        for window in await catalogue.windows_at(datetime.now(UTC)):
            taken.append(await freeze(pool, window))
            if window.board.is_default:
                await record_ranks(pool, window)
        return taken


async def migrate(settings: Settings) -> list[str]:
    async with connection(settings) as pool:
        return await migrations.migrate(pool)


async def create_user(
    settings: Settings, username: str, email: str | None, password: str, role: str
) -> Account:
    if role not in get_args(Role):
        raise DatabaseUnusable(f"a role is one of {', '.join(get_args(Role))}, not {role!r}")
    passwords = Passwords(1)
    async with database(settings) as pool:
        hashed = await passwords.hash(password)
        return await Accounts(pool, uuid4()).create(parse_name(username), email, hashed, role)


async def set_status(settings: Settings, username: str, status: str) -> None:
    async with database(settings) as pool:
        await Accounts(pool, uuid4()).set_status(await _any_user(pool, username), status)


async def set_role(settings: Settings, username: str, role: str) -> None:
    if role not in get_args(Role):
        raise DatabaseUnusable(f"a role is one of {', '.join(get_args(Role))}, not {role!r}")
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


async def _ask_node(
    settings: Settings, pool: Pool, node: str | None, act: str
) -> tuple[dict[str, int], str]:
    """Board -> drift as the running node reports it, and what to tell the operator about it."""
    address = node or f"http://{settings.host}:{settings.port}"
    accounts, tokens = Accounts(pool, uuid4()), Tokens(60)
    tokens.use(await accounts.signing_keys())
    admin = await accounts.first_admin()
    if admin is None:
        return {}, "There is no admin account, so no node was asked."
    headers = {"Authorization": f"Bearer {tokens.issue(admin)}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=NODE_TIMEOUT) as session,
            session.post(f"{address}/api/admin/index/{act}", headers=headers) as reply,
        ):
            body = await reply.read()
    except (aiohttp.ClientError, TimeoutError, OSError):
        if node is not None:
            raise DatabaseUnusable(f"no node answers at {node}") from None
        return {}, f"No node answers at {address}: only the ledger was checked."
    if reply.status != 200:
        raise DatabaseUnusable(f"the node at {address} answered {reply.status}: {body[:200].decode(errors='replace')}")
    report = msgspec.json.decode(body, type=IndexReport)
    return {window.board: window.drift for window in report.windows}, f"Asked the node at {address}."
