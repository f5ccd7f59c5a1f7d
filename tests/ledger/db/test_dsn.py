"""Connection strings as hosting providers give them out: taken, or ignored and named; never shown."""

from __future__ import annotations

import ssl
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.commands import laurels

from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.dsn import LONGEST_CONNECT_SECONDS, parse

BASE = "postgresql://ada:secret@db.example:5433/board"
IGNORED = (
    "channel_binding=require&keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3&gssencmode=disable"
    "&tcp_user_timeout=500&client_encoding=latin1&hostaddr=10.0.0.1&load_balance_hosts=random&sslsni=1&replication=off"
    "&require_auth=scram-sha-256&pgbouncer=true&connection_limit=1&schema=public"
)
HONOURED = "connect_timeout=7&application_name=board%20one&options=-c%20work_mem%3D9MB&sslmode=prefer"


async def test_what_libpq_knows_is_taken_or_ignored(database_url: str) -> None:
    """Such an address connects; its name, options and limits hold."""
    url = f"{database_url.replace('&sslmode=disable', '')}&{IGNORED}&{HONOURED}"
    pool = await ledger_pool.connect(url, size=3)
    assert await pool.fetchval("SHOW work_mem") == "9MB"
    assert await pool.fetchval("SHOW application_name") == "board one"
    assert await pool.fetchval("SHOW client_encoding") == "UTF8"
    assert await pool.fetchval("SHOW statement_timeout") == "10s"
    pool.terminate()


def test_what_is_ignored_is_named_once_and_without_its_value(database_url: str) -> None:
    """Only what was asked for and is not done: `prefer` and `disable` ask for nothing."""
    done = laurels("migrate", DATABASE_URL=f"{database_url}&channel_binding=require&keepalives=1&gssencmode=prefer")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("channel_binding, keepalives") == 1
    assert "gssencmode" not in done.stderr


def test_variables_of_libpq_that_fill_gaps_are_named(database_url: str) -> None:
    """They are honoured as psql honours them, not in silence; what the address says itself wins."""
    url = database_url.replace("&sslmode=disable", "")
    done = laurels("migrate", DATABASE_URL=url, PGSSLMODE="prefer", PGPORT="1", PGHOST="nowhere.invalid")
    assert done.returncode == 0, done.stderr
    assert '"PGSSLMODE"' in done.stderr
    assert "PGPORT" not in done.stderr


@pytest.mark.parametrize(
    "query", ["nosuchsetting=1", "sslmode=perhaps", "target_session_attrs=fastest", "sslrootcert=/nowhere/ca.pem"]
)
def test_what_cannot_be_honoured_is_one_line(database_url: str, query: str) -> None:
    done = laurels("migrate", DATABASE_URL=f"{database_url.replace('&sslmode=disable', '')}&{query}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert query.split("=", maxsplit=1)[0] in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2@ss@db/board",
        "postgresql://ada:hunter2/ss@db/board",
        "postgresql://ada:hunter2?ss@db/board",
        "postgresql://ada:hunter2#ss@db/board",
        "postgresql://ada:hunter2[ss@db/board",
        "postgresql://ada:hunter2:5432/board",
        "postgresql://ada:x@db/board?port=hunter2",
        "postgresql:ada:hunter2@db/board",
        "postgres//ada:hunter2@db",
        "hunter2",
        "postgresql://ada:hunter2\u2100@hunter2\u2100/board",  # becomes a/c when it is normalised
    ],
)
def test_an_address_that_cannot_be_read_is_not_shown(url: str) -> None:
    """An unescaped character moves the password into the host, the path or the query."""
    with pytest.raises(ValueError, match="it looks like postgresql://") as refused:
        parse(url)
    assert "hunter2" not in str(refused.value)
    done = laurels("migrate", DATABASE_URL=url)
    assert done.returncode == 2
    assert "hunter2" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_limits_and_certificates() -> None:
    assert parse(f"{BASE}?connect_timeout=3").connect_timeout == 3
    assert parse(f"{BASE}?connect_timeout=0").connect_timeout is None
    assert parse(f"{BASE}?connect_timeout=9999").connect_timeout == LONGEST_CONNECT_SECONDS
    assert parse(f"{BASE}?connect_timeout=soon").ignored == ("connect_timeout",)
    assert isinstance(parse(f"{BASE}?sslrootcert=system&sslmode=verify-full").options["ssl"], ssl.SSLContext)
    assert parse_qs(urlsplit(parse(f"{BASE}?ssl=true").urls[0]).query) == {"sslmode": ["require"]}


def test_each_host_gets_an_address_of_its_own() -> None:
    urls = parse("postgresql://u:p%2C%40@a:1,[::1]:2,c/db?target_session_attrs=read-write").urls
    assert [urlsplit(url).netloc for url in urls] == ["u:p%2C%40@a:1", "u:p%2C%40@[::1]:2", "u:p%2C%40@c"]
    assert all(url.endswith("/db?target_session_attrs=read-write") for url in urls)


@given(st.text(max_size=60), st.booleans())
def test_any_text_is_read_or_refused_in_the_same_words(text: str, with_scheme: bool) -> None:
    """No other error leaves, whatever it is given."""
    url = f"postgresql://{text}" if with_scheme else text
    try:
        assert parse(url).urls
    except ValueError as refused:
        words = str(refused)
        assert words.startswith("it looks like") or "names a file" in words
