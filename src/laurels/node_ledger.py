"""The parts of a node that read and write the ledger, and what they cache of it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from .config import Settings
from .domain.names import similar_keys
from .ledger.accounts.accounts import Accounts
from .ledger.accounts.api_keys import ApiKeys
from .ledger.accounts.directory import Directory
from .ledger.accounts.name_guard import NameGuard
from .ledger.accounts.revocations import Revocations
from .ledger.catalogue.catalogue import Catalogue
from .ledger.db.liveness import liveness
from .ledger.db.pool import Pool
from .ledger.db.replicas import Reads, replica
from .ledger.events.journal import Journal
from .ledger.events.propagation import report_presence

WRITING = ("all", "api")
"""Roles that accept actions."""


@dataclass(frozen=True, slots=True)
class LedgerParts:
    """Connections to the ledger, the journal, and caches."""

    pool: Pool
    node_id: UUID
    journal: Journal
    last_batch: int
    reads: Reads
    catalogue: Catalogue
    directory: Directory
    revocations: Revocations
    accounts: Accounts
    api_keys: ApiKeys


async def ledger_parts(settings: Settings, pool: Pool) -> LedgerParts:
    """Load the caches of a node, and begin to follow the journal."""
    node_id = uuid4()
    journal = Journal(pool, node_id)
    last_batch = await journal.start()
    await report_presence(pool, node_id)  # before anything is loaded: commands wait for this node from now on
    liveness(pool).leave_to_lanes(lanes_of(settings))
    reads = Reads(pool, [await replica(url, size=settings.pool_size) for url in settings.replicas])
    catalogue, directory = Catalogue(pool), Directory(reads)
    await catalogue.refresh()
    await directory.refresh_blocked()
    guard = NameGuard(similar_keys(settings.reserved))
    revocations = Revocations(pool)
    await revocations.refresh()
    return LedgerParts(
        pool,
        node_id,
        journal,
        last_batch,
        reads,
        catalogue,
        directory,
        revocations,
        Accounts(pool, node_id, guard),
        ApiKeys(pool, node_id),
    )


def lanes_of(settings: Settings) -> int:
    """Return how many batches this node has in flight at once: none in roles that accept no actions."""
    return settings.lanes if settings.role in WRITING else 0
