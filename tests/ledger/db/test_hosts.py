"""An address with several servers leads to the one that takes writes, whatever the others do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.support.fault_proxy import FaultProxy

from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.hosts import Hosts
from laurels.ledger.db.pool import DatabaseUnusable


@pytest.fixture
async def database_tcp(database_url: str) -> AsyncIterator[str]:
    """The test's database at a TCP address; the embedded server itself listens on a socket of the file system."""
    parts = urlsplit(database_url)
    folder = parse_qs(parts.query)["host"][0]
    async with FaultProxy(Path(folder) / ".s.PGSQL.5432").running() as proxy:
        yield f"postgresql://postgres@127.0.0.1:{proxy.port}{parts.path}"


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that is frozen: it takes connections and says nothing."""
    await reader.read(-1)
    writer.close()


def _behind(url: str, *others: str) -> str:
    """`url` with other hosts before its own."""
    parts = urlsplit(url)
    credentials, at, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{credentials}{at}{','.join([*others, place])}").geturl()


async def test_a_frozen_host_does_not_hide_the_primary(database_tcp: str) -> None:
    """Kept up: each host has a time limit of its own."""
    server = await asyncio.start_server(_silent, "127.0.0.1", 0)
    frozen = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    url = _behind(database_tcp, frozen) + "?target_session_attrs=read-write"
    pool = await ledger_pool.connect(url, size=3)
    assert await pool.fetchval("SELECT NOT pg_is_in_recovery()")
    pool.terminate()
    server.close()


async def test_the_host_that_answered_is_asked_first(database_tcp: str) -> None:
    gone = "127.0.0.1:1"
    hosts = Hosts(_behind(database_tcp, gone))
    await (await hosts.connect("", timeout=5)).close()
    assert urlsplit(hosts._urls[0]).netloc == urlsplit(database_tcp).netloc


async def test_an_absent_server_is_said_in_words(database_tcp: str) -> None:
    with pytest.raises(DatabaseUnusable, match="can't connect to PostgreSQL"):
        await ledger_pool.connect("postgresql://u:p@127.0.0.1:1,127.0.0.1:2/x", size=2)
