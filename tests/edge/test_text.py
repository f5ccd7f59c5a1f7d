"""Names of users and texts of operators pass the firewall, and nothing else of a request is exempt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from deploy.cluster.layout import DEPLOY
from msgspec import inspect as schemas
from tests.edge.conftest import Edge
from tests.support.server import PASSWORD, LaurelsServer

from laurels.web.api.routes import ROUTES

CORPUS = Path(__file__).parent / "corpus"
NAMES: list[str] = json.loads((CORPUS / "names.json").read_text())
REASONS: list[str] = json.loads((CORPUS / "reasons.json").read_text())
SLIM = re.compile(r"/api/(actions|server|boards|receipts)/")
"""Paths of the slim rules, which look at no body."""
ODD = ("o'x; <b> --", "o'x;<b>--@a.b")


def passed(edge: Edge, method: str, path: str, status: int, body: Any = None, token: str | None = None) -> str:
    """Return the fault of a reply; empty if there is none."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
    reply = edge.request(method, path, headers, data)
    refused = b"request_refused" in reply.body
    return "" if reply.status == status and not refused else f"{method} {path}: {reply.status} {reply.body[:120]!r}"


@pytest.mark.parametrize("name", NAMES)
def test_whatever_people_are_called_they_play(edge: Edge, name: str) -> None:
    """They register, log in, are found, and their page and ranks are read."""
    segment, account = quote(name, safe=""), {"username": name, "password": PASSWORD}
    wrong = [
        passed(edge, "POST", "/api/auth/register", 201, account),
        passed(edge, "POST", "/api/auth/login", 200, account),
        passed(edge, "GET", f"/api/users/{segment}", 200),
        passed(edge, "GET", f"/api/users/{segment}/history?days=7", 200),
        passed(edge, "GET", f"/u/{segment}", 200),
        passed(edge, "GET", f"/api/users?prefix={segment}", 200),
        passed(edge, "GET", f"/api/boards/points/rank/{segment}", 200),
        passed(edge, "GET", f"/api/boards/points/around/{segment}", 404),
    ]
    assert [one for one in wrong if one] == []


@pytest.fixture(scope="module")
def boss(edge: Edge, laurels_server: LaurelsServer) -> str:
    """An admin's token."""
    edge.register("text-boss")
    laurels_server.sql("UPDATE users SET role = 'admin' WHERE username = 'text-boss'")
    account = {"username": "text-boss", "password": PASSWORD}
    return str(edge.post("/api/auth/login", account).json()["access_token"])


@pytest.fixture(scope="module")
def player_id(edge: Edge) -> int:
    account = {"username": "text-player", "password": PASSWORD}
    return int(edge.post("/api/auth/register", account).json()["user"]["id"])


@pytest.mark.parametrize("reason", REASONS)
def test_whatever_operators_write_is_taken(edge: Edge, boss: str, player_id: int, reason: str) -> None:
    """As a reason, a description, the name of a type, a board or a key, and in an action that is tried."""
    number = REASONS.index(reason)
    adjusted = {"points": 1, "adjustment_identifier": reason[:120], "reason": reason}
    kind = {"name": f"{number} {reason}"[:64], "base_score": 1, "description": reason, "reason": reason}
    board = {"slug": f"text-{number}", "name": reason[:64], "action_types": [kind["name"]], "reason": reason}
    tried = {"username": "text-player", "metadata": {reason[:20]: reason, "deep": [{"x": [reason]}]}}
    rules: dict[str, object] = {"once_for_all": reason[:64], "requires": [{"action_type": kind["name"]}]}
    rules |= {"metadata": {reason[:64]: {"type": "string", "one_of": [reason]}}}
    named = f"/api/admin/action-types/{quote(str(kind['name']), safe='')}"
    in_path = [] if "/../" in str(kind["name"]) or "/.." in str(kind["name"]) else [named]
    wrong = [
        passed(edge, "POST", f"/api/admin/users/{player_id}/adjust", 200, adjusted, boss),
        passed(edge, "POST", "/api/admin/action-types", 201, kind, boss),
        *(passed(edge, "GET", path, 200, None, boss) for path in in_path),
        *(passed(edge, "POST", f"{path}/try", 200, tried | {"scoring_rules": rules}, boss) for path in in_path),
        passed(edge, "POST", "/api/admin/boards", 201, board, boss) if number < 20 else "",
        passed(edge, "POST", "/api/admin/keys", 201, {"name": reason[:64], "scopes": ["admin:read"]}, boss),
        passed(edge, "GET", f"/api/admin/audit?subject={quote('action_type:' + str(kind['name']))}", 200, None, boss),
    ]
    assert [one for one in wrong if one] == []


def test_exactly_the_free_text_of_the_schemas_is_exempt() -> None:
    """Every member that takes odd text is exempt, and no member that does not."""
    rules = (DEPLOY / "edge" / "modsecurity-text.conf").read_text()
    exempt = [re.compile(found) for found in re.findall(r'"!ARGS:/(.+)/"', rules)]
    exempt += [re.compile(re.escape(found) + "$") for found in re.findall(r'"!ARGS:(json[^"]+)"', rules)]
    names = [re.compile(found) for found in re.findall(r'"!ARGS_NAMES:/(.+)/"', rules)]
    wrong = []
    for route in ROUTES:
        if route.body is None or SLIM.match(route.path):
            continue
        for path, is_free in _members(schemas.type_info(route.body), "json"):
            if any(pattern.search(path) for pattern in exempt) != is_free:
                wrong.append(path)
            if any(pattern.search(path) for pattern in names) != ("metadata." in path):
                wrong.append(f"the name of {path}")
    assert wrong == []


def _members(kind: schemas.Type, path: str) -> Iterator[tuple[str, bool]]:
    """(name as the firewall spells it, whether it takes odd text) of everything in a schema."""
    if isinstance(kind, schemas.Metadata):
        yield from _members(kind.type, path)
    elif isinstance(kind, schemas.UnionType):
        found = dict.fromkeys(member for inner in kind.types for member in _members(inner, path))
        yield from ((name, free) for name, free in found if free or (name, True) not in found)
    elif isinstance(kind, schemas.StructType):
        for field in kind.fields:
            yield from _members(field.type, f"{path}.{field.encode_name}")
    elif isinstance(kind, schemas.ListType):
        yield from _members(kind.item_type, f"{path}.array_0")
    elif isinstance(kind, schemas.DictType):
        yield from _members(kind.value_type, f"{path}.any name")
    else:
        yield path, isinstance(kind, schemas.AnyType) or _takes_odd_text(kind)


def _takes_odd_text(kind: schemas.Type) -> bool:
    return isinstance(kind, schemas.StrType) and any(_fits(text, kind) for text in ODD)


def _fits(text: str, kind: schemas.StrType) -> bool:
    return kind.pattern is None or re.search(kind.pattern, text) is not None


def test_a_member_of_another_name_is_looked_at(edge: Edge, boss: str) -> None:
    """The exemption is of names, not of bodies: what stands beside them is refused."""
    for member in ("reasons", "Reason", "reason.x", "xreason", "points"):
        body = {"reason": "fine", member: "1' UNION SELECT password_hash FROM users --"}
        reply = edge.post("/api/admin/users/1/adjust", body, boss)
        assert (reply.status, reply.json()["code"]) == (403, "request_refused"), member
