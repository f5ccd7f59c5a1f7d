"""People with a role, and a hand in their node's ledger."""

from __future__ import annotations

from typing import Any

from tests.support.node import PASSWORD, InProcessNode


async def of_role(node: InProcessNode, role: str, name: str | None = None) -> str:
    """A token of a fresh user with this role."""
    user = (await node.register(name))["user"]
    await node.services.pool.execute("UPDATE users SET role = $2 WHERE id = $1", user["id"], role)
    status, tokens = await node.post("/api/auth/login", {"username": user["username"], "password": PASSWORD})
    assert status == 200, tokens
    return str(tokens["access_token"])


async def call(node: InProcessNode, method: str, path: str, token: str | None, body: Any = None) -> tuple[int, Any]:
    """(status, decoded JSON) of any method."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with node.http.request(method, node.url + path, json=body, headers=headers) as reply:
        return reply.status, await reply.json(content_type=None) if await reply.read() else None


async def pages(node: InProcessNode, path: str, token: str, member: str, limit: int) -> list[dict[str, Any]]:
    """Every row of a list, page by page."""
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        mark = "&" if "?" in path else "?"
        tail = f"&cursor={cursor}" if cursor else ""
        status, found = await node.get(f"{path}{mark}limit={limit}{tail}", token)
        assert status == 200, found
        assert len(found[member]) <= limit
        rows += found[member]
        cursor = found["next"]
        if cursor is None:
            return rows
