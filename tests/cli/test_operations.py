"""The operator's commands, against a ledger of their own and a node that serves it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import asyncpg
import pytest
from tests.support.node import InProcessNode

from laurels import __version__
from laurels.cli import app

from .commands import answer, laurels


@pytest.fixture
async def sql(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A hand in the database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def login(node: InProcessNode, username: str, password: str) -> tuple[int, dict[str, Any]]:
    return await node.post("/api/auth/login", {"username": username, "password": password})


async def off_loop(*arguments: str, **settings: object) -> tuple[int, Any]:
    """A command that asks the node of this very event loop; its exit code and what it prints."""
    done = await asyncio.to_thread(laurels, *arguments, **settings)
    return done.returncode, json.loads(done.stdout)


def test_without_a_command_the_help_is_shown() -> None:
    """`laurels` alone lists the commands."""
    done = laurels()
    assert (done.returncode, done.stderr) == (0, "")
    assert "serve" in done.stdout
    assert laurels("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("command", ["serve", "verify", "rebuild", "snapshot", "migrate", "demo", "config", "openapi"])
def test_every_command_shows_how_it_is_used(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help without an example is half a help."""
    app([command, "--help"], result_action="return_value")
    assert "Example" in capsys.readouterr().out


def test_machines_are_answered_in_json(database_url: str) -> None:
    """Settings, the API, and what was migrated."""
    names = [row["name"] for row in answer("config", DATABASE_URL=database_url)]
    assert "LAURELS_PORT" in names
    assert json.loads(laurels("openapi").stdout)["openapi"].startswith("3.")
    assert answer("migrate", DATABASE_URL=database_url) == {"applied": []}


async def test_an_account_is_made_and_its_password_changed(node: InProcessNode, database_url: str) -> None:
    """Both passwords are printed once and work; the old one ends."""
    made = answer("user", "create", "Ada Ember", "--role", "moderator", DATABASE_URL=database_url)
    status, tokens = await login(node, "ada ember", made["password"])
    assert (status, tokens["user"]["role"]) == (200, "moderator")
    changed = answer("user", "password", "Ada Ember", DATABASE_URL=database_url)
    assert (await login(node, "Ada Ember", made["password"]))[0] == 401
    assert (await login(node, "Ada Ember", changed["password"]))[0] == 200


async def test_a_name_with_brackets_is_shown_as_it_is(database_url: str) -> None:
    """Names are printed as text, never as mark-up."""
    done = laurels("user", "create", "[red]dawn[/]", DATABASE_URL=database_url)
    assert "Created [red]dawn[/] (player)" in done.stdout


async def test_a_ban_and_its_end(node: InProcessNode, database_url: str) -> None:
    """Banned: no log-in. Lifted: as before."""
    made = answer("user", "create", "Mallory", DATABASE_URL=database_url)
    assert answer("user", "ban", "Mallory", DATABASE_URL=database_url)["status"] == "banned"
    assert (await login(node, "Mallory", made["password"]))[0] == 403
    assert answer("user", "unban", "Mallory", DATABASE_URL=database_url)["status"] == "active"
    assert (await login(node, "Mallory", made["password"]))[0] == 200


async def test_a_role_is_given(node: InProcessNode, database_url: str) -> None:
    """The next token carries it."""
    made = answer("user", "create", "Grace", DATABASE_URL=database_url)
    answer("user", "role", "Grace", "admin", DATABASE_URL=database_url)
    assert (await login(node, "Grace", made["password"]))[1]["user"]["role"] == "admin"


async def test_keys_rotate_under_a_running_node(node: InProcessNode, database_url: str) -> None:
    """The node learns of the new key by itself, and tokens of the old one stay good."""
    token = await node.token("Ada")
    kid = answer("keys", "rotate", DATABASE_URL=database_url)["kid"]
    async with aiohttp.ClientSession() as http:
        kids: list[str] = []
        while kid not in kids:
            async with http.get(f"{node.url}/.well-known/jwks.json") as reply:
                kids = [key["kid"] for key in (await reply.json())["keys"]]
    assert len(kids) == 2
    assert (await node.complete(token, "a-1"))[0] == 201


async def test_a_snapshot_freezes_every_open_window(node: InProcessNode, database_url: str) -> None:
    """One for each board, with its total."""
    await node.complete(await node.token("Ada"), "a-1")
    taken = answer("snapshot", DATABASE_URL=database_url)
    assert {item["board"]: item["total_users"] for item in taken} == {"points": 1, "points-weekly": 1}


async def test_a_clean_ledger_is_proved_clean(node: InProcessNode, database_url: str) -> None:
    """Exit code 0, in a table and in JSON; without a running node it says that none was asked."""
    await node.complete(await node.token("Ada"), "a-1")
    assert "Everything agrees" in laurels("verify", DATABASE_URL=database_url, LAURELS_PORT=1).stdout
    assert answer("verify", DATABASE_URL=database_url, LAURELS_PORT=1)["clean"] is True


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE standings SET score = score + 1000, sort_score = sort_score - 1000",
        "UPDATE users SET current_score = current_score + 1 WHERE username = 'Ada'",
        "DELETE FROM standings",
    ],
)
async def test_damage_is_found_and_repaired(
    node: InProcessNode, database_url: str, sql: asyncpg.Connection, damage: str
) -> None:
    """verify: exit code 1. rebuild: exit code 0, and the scores are what the ledger says."""
    await node.complete(await node.token("Ada"), "a-1")
    settings = {"DATABASE_URL": database_url, "LAURELS_PORT": 1}
    await sql.execute(damage)
    found = laurels("verify", **settings)
    assert (found.returncode, found.stderr) == (1, "")
    assert "laurels rebuild" in found.stdout
    assert answer("rebuild", **settings)["repaired"] >= 1
    assert laurels("verify", **settings).returncode == 0
    assert await sql.fetchval("SELECT min(score) FROM standings") == 10
    assert await sql.fetchval("SELECT current_score FROM users WHERE username = 'Ada'") == 10


async def test_drift_of_a_running_node_is_seen_and_repaired(
    node: InProcessNode, database_url: str, sql: asyncpg.Connection
) -> None:
    """The node is asked by HTTP with a token that the ledger's own key signs."""
    token = await node.token("Ada")
    await node.complete(token, "a-1")
    laurels("user", "create", "root", "--role", "admin", DATABASE_URL=database_url)
    await sql.execute("UPDATE standings SET score = score + 1000, sort_score = sort_score - 1000")
    seen = await off_loop("verify", "--node", node.url, "--json", DATABASE_URL=database_url)
    assert seen[0] == 1
    assert [window["node_drift"] for window in seen[1]["windows"]] == [1, 1]
    mended = await off_loop("rebuild", "--node", node.url, "--json", DATABASE_URL=database_url)
    assert (mended[0], mended[1]["clean"]) == (0, True)
    assert [window["node_drift"] for window in mended[1]["verification"]["windows"]] == [0, 0]
    assert (await node.complete(token, "a-2"))[1]["new_score"] == 20


def test_api_keys_are_made_listed_rotated_and_revoked(database_url: str) -> None:
    """The secret is printed once; the list tells of every key and of no secret."""
    made = answer("api-key", "create", "game server", "--scope", "actions:write", DATABASE_URL=database_url)
    key_id = str(made["key"]["id"])
    assert made["api_key"].startswith(f"lk_{key_id}_")
    rotated = answer("api-key", "rotate", key_id, "--overlap", "0", DATABASE_URL=database_url)
    assert rotated["api_key"] != made["api_key"]
    table = laurels("api-key", "list", DATABASE_URL=database_url, COLUMNS=150)
    assert "game server" in table.stdout
    assert made["api_key"].split("_", 2)[2] not in table.stdout
    assert answer("api-key", "revoke", key_id, DATABASE_URL=database_url)["revoked_at"] is not None
    again = laurels("api-key", "revoke", key_id, DATABASE_URL=database_url)
    assert (again.returncode, again.stderr) == (2, f"laurels: There is no key {key_id} in force.\n")
    assert len(answer("api-key", "list", DATABASE_URL=database_url)) == 1


async def test_commands_that_run_at_once_leave_an_admin(database_url: str, sql: asyncpg.Connection) -> None:
    """Processes of their own, each against another admin: the last one is refused in one line."""
    for name in ("ann", "bea"):
        answer("user", "create", name, "--role", "admin", DATABASE_URL=database_url)
    await sql.execute("UPDATE users SET role = 'player' WHERE username NOT IN ('ann', 'bea')")
    commands = [("user", "ban", "ann"), ("user", "role", "bea", "player")]
    done = await asyncio.gather(*(asyncio.to_thread(laurels, *words, DATABASE_URL=database_url) for words in commands))
    assert sorted(one.returncode for one in done) == [0, 2]
    (refused,) = [one.stderr for one in done if one.returncode]
    assert "This is the last active admin: make another one first." in refused
    assert await sql.fetchval("SELECT count(*) FROM users WHERE role = 'admin' AND status = 'active'") == 1
