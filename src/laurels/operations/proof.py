"""Proof, repair, snapshots and the schema: of the ledger, and of the node that runs on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import uuid4

import msgspec

from ..config import Settings
from ..database import connection, database
from ..ledger.accounts.accounts import Accounts
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.db import migrations
from ..ledger.db.pool import Pool
from ..ledger.standings import repair, snapshots
from ..ledger.standings.snapshots import Snapshot
from ..ranking.verify import prove
from ..web.api.health import IndexReport
from ..web.auth.access_tokens import AccessTokens
from .errors import CommandFailed

NODE_SECONDS, CONNECT_SECONDS = 600, 2
"""How long a node may take to answer, and to be found."""


@dataclass(frozen=True, slots=True)
class WindowVerification:
    """Counts of standings that disagree. `node_drift` None: no node was asked."""

    board: str
    standings: int
    unfolded: int
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
    async with connection(settings, create=True) as pool:
        return await migrations.migrate(pool)


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
    accounts, tokens = Accounts(pool, uuid4()), AccessTokens(60)
    tokens.set_keys(await accounts.signing_keys())
    admin = await accounts.first_admin()
    if admin is None and node is not None:
        raise CommandFailed("only an admin may ask a node, and there is none: `laurels user role NAME admin`")
    if admin is None:
        return {}, "There is no admin account, so no node was asked."
    try:
        report = await _order(f"{address}/api/admin/index/{act}", tokens.issue(admin))
    except CommandFailed as error:
        if node is not None:
            raise
        return {}, f"Only the ledger was checked: {error}."
    return {window.board: window.drift for window in report.windows}, f"Asked the node at {address}."


async def _order(url: str, token: str) -> IndexReport:
    """Raises NotDone, saying who did not do it and why."""
    import aiohttp  # lazily: most commands ask no node

    place = url.rpartition("/api/admin/")[0]
    patience = aiohttp.ClientTimeout(total=NODE_SECONDS, connect=CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=patience, headers={"Authorization": f"Bearer {token}"}) as session,
            session.post(url) as reply,
        ):
            body = await reply.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise CommandFailed(f"no node answers at {place}") from error
    if reply.status == 401:
        raise CommandFailed(f"the node at {place} serves another ledger")
    try:
        if reply.status == 200:
            return msgspec.json.decode(body, type=IndexReport)
    except msgspec.DecodeError:
        pass
    words = body[:200].decode(errors="replace")
    raise CommandFailed(f"what runs at {place} answered {reply.status}: {words}")
