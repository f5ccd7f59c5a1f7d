"""Settings: what is accepted, and the one line that says what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from laurels.config import ConfigError, Settings, describe, load


def test_an_empty_environment_is_enough() -> None:
    """A node starts without any setting."""
    assert load({}) == Settings()


def test_values_are_taken_in_their_types() -> None:
    """Text from the environment becomes numbers, paths and booleans."""
    settings = load({"LAURELS_PORT": "9000", "LAURELS_DATA": "/srv/l", "LAURELS_SAMPLES": "no", "HOME": "/"})
    assert (settings.port, settings.data, settings.samples) == (9000, Path("/srv/l"), False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LAURELS_PORT", "eighty"),
        ("LAURELS_PORT", "65536"),
        ("LAURELS_PORT", ""),
        ("LAURELS_POOL_SIZE", "5"),
        ("LAURELS_ACCESS_LOG", "maybe"),
        ("LAURELS_LOG_LEVEL", "loud"),
        ("LAURELS_HOST", ""),
        ("LAURELS_DATA", " "),
        ("LAURELS_LANES", "10"),
        ("LAURELS_ORIGINS", "https://example.org/path"),
        ("LAURELS_ORIGINS", "example.org"),
        ("LAURELS_POOL_SIZE", "41"),
        ("LAURELS_FORWARDED_HEADER", "x-real-ip"),
        ("LAURELS_METRICS_PRIVATE", "true"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    """The message names the setting; nothing is silently made to fit."""
    with pytest.raises(ConfigError, match=name):
        load({name: value})


def test_a_misspelt_setting_is_refused() -> None:
    """A typo must not mean the default."""
    with pytest.raises(ConfigError, match="LAURELS_PROT"):
        load({"LAURELS_PROT": "9000"})


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """So that it shows in no process list; the newline that editors add does not count."""
    secret = tmp_path / "url"
    secret.write_text("postgresql://u:p@h/d\n")
    assert load({"DATABASE_URL_FILE": str(secret)}).database_url == "postgresql://u:p@h/d"


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """Missing, or no text: a line, not a traceback."""
    (tmp_path / "noise").write_bytes(b"\xff\xfe\xff")
    for path in (tmp_path / "missing", tmp_path / "noise"):
        with pytest.raises(ConfigError, match="DATABASE_URL_FILE"):
            load({"DATABASE_URL_FILE": str(path)})


def test_a_setting_given_twice_is_refused(tmp_path: Path) -> None:
    """It is unclear which of the two was meant."""
    with pytest.raises(ConfigError, match="use one"):
        load({"LAURELS_PORT": "1", "LAURELS_PORT_FILE": str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("DATABASE_URL", "postgresql://u:hunter2@db/l", "postgresql://u:…@db/l"),
        ("DATABASE_URL", "postgresql://u:hunter2,hunter2@a,b/l", "postgresql://u:…@a,b/l"),
        ("DATABASE_URL", "postgresql://u:hunter2@hunter2@db/l", "postgresql://u:…@db/l"),
        ("DATABASE_URL", "postgresql://u@db/l?password=hunter2&port=1", "postgresql://u@db/l?password=…&port=1"),
        ("DATABASE_URL", "postgresql://db/l?sslpassword=hunter2", "postgresql://db/l?sslpassword=…"),
        ("REDIS_URL", "redis+sentinel://s1/l?sentinel_password=hunter2", "redis+sentinel://s1/l?sentinel_password=…"),
        (
            "REPLICA_URLS",
            "postgresql://u:hunter2@r1/l,postgresql://u:hunter2,hunter2@r2/l",
            "postgresql://u:…@r1/l,postgresql://u:…@r2/l",
        ),
    ],
)
def test_a_password_is_never_shown(name: str, value: str, shown: str) -> None:
    """`laurels config` may be pasted into a ticket."""
    rows = describe(load({"DATABASE_URL": "postgresql://db/l", name: value}))
    assert "hunter2" not in str(rows)
    assert shown in {row[1] for row in rows}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104  compared, not bound
        ("::", "http://[::1]:8000"),
        ("board.example", "http://board.example:8000"),
    ],
)
def test_the_address_is_one_that_clients_can_use(host: str, url: str) -> None:
    """A node that listens everywhere is asked on this machine."""
    assert load({"LAURELS_HOST": host}).url == url
