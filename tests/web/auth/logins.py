"""Log-ins of a test's users, and how to end them."""

from __future__ import annotations

from typing import Any

from tests.support.node import PASSWORD, InProcessNode


async def status_of(node: InProcessNode, token: str) -> int:
    return (await node.get("/api/me", token))[0]


async def login(node: InProcessNode, password: str = PASSWORD) -> tuple[int, Any]:
    return await node.post("/api/auth/login", {"username": "ada", "password": password})


async def log_out_everywhere(node: InProcessNode, tokens: dict[str, Any]) -> None:
    assert (await node.post("/api/auth/logout-everywhere", {}, tokens["access_token"]))[0] == 204
