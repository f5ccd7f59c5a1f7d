"""Fixtures from which several of the web tests start."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.issuer import Issuer, knowing, published
from tests.support.node import InProcessNode, running_node
from tests.web.attacker import Attacker

from laurels.config import Settings


@pytest.fixture
async def attacker(node: InProcessNode) -> AsyncIterator[Attacker]:
    """Yield an attacker; whatever it sends, the ledger must be empty at the end."""
    yield Attacker(node, await node.token())
    assert await node.services.pool.fetchval("SELECT count(*) FROM actions") == 0
    assert await node.services.pool.fetchval("SELECT count(*) FROM standings") == 0


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with published(Issuer()) as issuer:
        yield issuer


@pytest.fixture
async def door(settings: Settings, issuer: Issuer) -> AsyncIterator[InProcessNode]:
    """A node that accepts the issuer's tokens."""
    async with running_node(knowing(settings, issuer)) as node:
        yield node
