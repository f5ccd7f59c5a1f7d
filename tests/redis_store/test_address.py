"""REDIS_URL is understood in all its shapes, refused with words otherwise, and never shown with its password."""

from __future__ import annotations

import pytest

from laurels.redis_store import RedisAddress, RedisUnusable, parse_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache", RedisAddress(hosts=(("cache", 6379),))),
        ("redis://cache:7000/3", RedisAddress(hosts=(("cache", 7000),), db=3)),
        ("redis://:s%40cret@[::1]:7000", RedisAddress(hosts=(("::1", 7000),), password="s@cret")),
        (
            "rediss://u:p@cache?ca=/ca.pem",
            RedisAddress((("cache", 6379),), username="u", password="p", tls=True, ca="/ca.pem"),
        ),
        ("unix:///run/redis.sock?db=2", RedisAddress(path="/run/redis.sock", db=2)),
        ("unix://u:p@/run/redis.sock", RedisAddress(path="/run/redis.sock", username="u", password="p")),
        (
            "redis+sentinel://u:p@s1,s2:26380/laurels?db=1&tls=true&sentinel_username=a&sentinel_password=b",
            RedisAddress(
                hosts=(("s1", 26379), ("s2", 26380)),
                master="laurels",
                db=1,
                tls=True,
                username="u",
                password="p",
                sentinel_username="a",
                sentinel_password="b",
            ),
        ),
    ],
)
def test_every_shape_is_understood(url: str, address: RedisAddress) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache:6379",
        "http://cache",
        "redis://",
        "redis://:secret@",
        "redis://:secret@cache:port",
        "redis://:secret@cache:70000",
        "redis://:secret@cache/first",
        "redis://:secret@cache?db=1&timeout=3",
        "unix://:secret@",
        "redis+sentinel://:secret@s1,s2",
        "redis+sentinel://:secret@s1,,s2/laurels",
    ],
)
def test_anything_else_is_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(RedisUnusable, match="REDIS_URL") as refusal:
        parse_address(url)
    assert "secret" not in str(refusal.value)


def test_an_address_is_shown_without_its_passwords() -> None:
    address = parse_address("redis+sentinel://u:secret@s1/laurels?sentinel_password=secret")
    assert "secret" not in f"{address} {address!r}"
    assert str(address) == "s1:26379 (laurels)"
