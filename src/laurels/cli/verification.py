"""Verify and rebuild: the ledger in this process, and the index of a running node over HTTP.

The node is asked with an admin's token of one minute, signed with the ledger's own key: who may read the keys of a
ledger may ask its nodes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import msgspec

from ..app.admin_context import AdminContext
from ..app.proof import prove_ledger, repair_standings
from ..config import Settings
from ..web.api.health import IndexReport
from ..web.auth.access_tokens import AccessTokens
from .errors import CommandFailed
from .ledger import open_ledger

NODE_SECONDS, CONNECT_SECONDS = 600, 2
"""How long a node may take to answer, and to be reached."""

IndexTask = Literal["verify", "rebuild"]


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
    """Every open window, and what to tell the operator about the node."""

    windows: list[WindowVerification]
    node_note: str

    @property
    def clean(self) -> bool:
        return all(window.clean for window in self.windows)


@dataclass(frozen=True, slots=True)
class Repair:
    """The number of standings that were folded again, and the verification afterwards."""

    repaired: int
    verification: Verification


async def verify(settings: Settings, node: str | None) -> Verification:
    """Compare the ledger with standings, standings with a sort, and the running node's index with both.

    Raises CommandFailed when the node that was named can't be asked; without a name it may be absent.
    """
    async with open_ledger(settings) as ledger:
        return await _verify(settings, ledger, node, "verify")


async def rebuild(settings: Settings, node: str | None) -> Repair:
    """Fold standings that differ from the ledger again, have the running node rebuild its index, and verify."""
    async with open_ledger(settings) as ledger:
        repaired = await repair_standings(ledger)
        return Repair(repaired, await _verify(settings, ledger, node, "rebuild"))


async def _verify(settings: Settings, ledger: AdminContext, node: str | None, task: IndexTask) -> Verification:
    drift_by_board, note = await _ask_node(settings, ledger, node, task)
    windows = [
        WindowVerification(slug, **asdict(proof), node_drift=drift_by_board.get(slug))
        async for slug, proof in prove_ledger(ledger)
    ]
    return Verification(windows, note)


async def _ask_node(
    settings: Settings, ledger: AdminContext, node: str | None, task: IndexTask
) -> tuple[dict[str, int], str]:
    """Return the drift of each board as the running node reports it, and a note for the operator."""
    address = (node or settings.url).rstrip("/")
    tokens = AccessTokens(60)
    tokens.set_keys(await ledger.accounts.signing_keys())
    admin = await ledger.accounts.first_admin()
    if admin is None and node is not None:
        raise CommandFailed("only an admin may ask a node, and there is none: `laurels user role NAME admin`")
    if admin is None:
        return {}, "There is no admin account, so no node was asked."
    try:
        report = await _post(f"{address}/api/admin/index/{task}", tokens.issue(admin))
    except CommandFailed as error:
        if node is not None:
            raise
        return {}, f"Only the ledger was checked: {error}."
    return {window.board: window.drift for window in report.windows}, f"Asked the node at {address}."


async def _post(url: str, token: str) -> IndexReport:
    """Return the report of a node. Raises CommandFailed with the node's address and the reason."""
    import aiohttp  # only where a node is asked

    place = url.rpartition("/api/admin/")[0]
    timeout = aiohttp.ClientTimeout(total=NODE_SECONDS, connect=CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers={"Authorization": f"Bearer {token}"}) as session,
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
    answered = body[:200].decode(errors="replace")
    raise CommandFailed(f"what runs at {place} answered {reply.status}: {answered}")
