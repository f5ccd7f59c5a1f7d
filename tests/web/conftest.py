"""What several of the web tests start from."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.node import InProcessNode
from tests.web.attacker import Attacker


@pytest.fixture
async def attacker(node: InProcessNode) -> AsyncIterator[Attacker]:
    """Whatever a test sends, the ledger must be empty when it is over."""
    yield Attacker(node, await node.token())
    assert await node.services.pool.fetchval("SELECT count(*) FROM actions") == 0
    assert await node.services.pool.fetchval("SELECT count(*) FROM standings") == 0
