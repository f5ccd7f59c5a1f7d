"""A node misses no entry of the journal when the database is away for a moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import uuid4

import pytest
from tests.support.node import InProcessNode

from laurels.background import Background
from laurels.config import Settings
from laurels.domain.errors import LaurelsError
from laurels.ledger.accounts import sanctions
from laurels.ledger.accounts.directory import Directory
from laurels.ledger.db.pool import unavailable
from laurels.ledger.db.replicas import Reads
from laurels.ledger.events.audit import SYSTEM
from laurels.ledger.events.journal import Journal


async def test_an_entry_that_could_not_be_taken_is_taken_later(
    node: InProcessNode, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal hands an entry out once: a ban must not be lost because its look-up failed."""
    pool = node.services.pool
    directory, journal = Directory(Reads(pool)), Journal(pool, uuid4())
    parts = replace(node.parts, parts=replace(node.services, directory=directory), journal=journal)
    follower = Background(settings, parts)
    player = (await node.register())["user"]["id"]
    look_up, away = directory.changed, iter([unavailable()])

    async def changed(user_ids: Iterable[int]) -> None:
        for error in away:
            raise error
        await look_up(user_ids)

    monkeypatch.setattr(directory, "changed", changed)
    await journal.start()
    await sanctions.ban(pool, SYSTEM, player, None)
    with pytest.raises(LaurelsError):
        await follower._follow_journal()
    await follower._follow_journal()
    assert player in directory.blocked
