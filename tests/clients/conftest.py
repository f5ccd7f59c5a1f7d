"""Nodes with action types of the kinds that clients meet, and a key to speak for others."""

from __future__ import annotations

import pytest
from tests.support.node import PASSWORD, InProcessNode

ADD_TYPE = """
INSERT INTO action_types (name, base_score, scoring_rules) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET base_score = $2, scoring_rules = $3
"""
RACE = '{"ticket": {"min_seconds": 0, "max_seconds": 600, "parallel": true}}'
PURCHASE = '{"issuer": "server"}'


@pytest.fixture
async def arena(node: InProcessNode) -> InProcessNode:
    """A node where a race asks for a ticket, and a purchase for a server's word."""
    for kind in (("race", 30, RACE), ("purchase", 50, PURCHASE)):
        await node.services.pool.execute(ADD_TYPE, *kind)
    await node.services.catalogue.refresh()
    return node


@pytest.fixture
async def api_key(node: InProcessNode) -> str:
    """With the scope actions:write."""
    boss = (await node.register("boss"))["user"]["username"]
    await node.services.pool.execute("UPDATE users SET role = 'admin' WHERE username = $1", boss)
    _, tokens = await node.post("/api/auth/login", {"username": boss, "password": PASSWORD})
    body = {"name": "game", "scopes": ["actions:write"]}
    status, made = await node.post("/api/admin/keys", body, tokens["access_token"])
    assert status == 201, made
    return str(made["api_key"])
