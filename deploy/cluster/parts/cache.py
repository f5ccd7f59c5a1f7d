"""Redis: a primary, a replica, and three sentinels that agree on which is which."""

from __future__ import annotations

import json

from ..layout import REDIS, SENTINELS, Layout, account, write_private
from ..part import Part, Unhealthy, answers, speak
from ..render import render

MASTER = "laurels"
_PRIMARY = 1


def redis(layout: Layout, number: int) -> Part:
    folder = layout.folder / f"redis-{number}"
    return Part(
        name=f"redis-{number}",
        layer="cache",
        address=layout.address("redis", number),
        command=("/usr/bin/redis-server", str(folder / "redis.conf")),
        user=account("redis"),
        machine=layout.machine("redis", number),
        check=lambda: _role(layout, number),
        prepare=lambda: _prepare(layout, number),
    )


def _prepare(layout: Layout, number: int) -> None:
    """Write the configuration unless it exists: Sentinel rewrites these files after a failover."""
    user = account("redis")
    file = layout.place(f"redis-{number}", user=user) / "redis.conf"
    if file.exists():
        return
    leader = "" if number == _PRIMARY else "replicaof " + layout.address("redis", _PRIMARY).replace(":", " ")
    render(
        "redis/redis.conf",
        file,
        {
            "host": layout.host("redis", number),
            "port": layout.port("redis", number),
            "folder": file.parent,
            "password": layout.secret("redis"),
            "replica_of": leader,
        },
        user,
        private=True,
    )


def _role(layout: Layout, number: int) -> str:
    replies = speak(layout.address("redis", number), [f"AUTH {layout.secret('redis')}", "INFO replication"])
    known = dict(line.split(":", 1) for line in replies[1].splitlines() if ":" in line)
    if known.get("role") == "master":
        return "primary"
    if known.get("master_link_status") != "up":
        raise Unhealthy(f"replica without its primary: {replies[1][:60].strip()}")
    return "replica"


def sentinels(layout: Layout) -> list[Part]:
    return [_sentinel(layout, number) for number in SENTINELS]


def _sentinel(layout: Layout, number: int) -> Part:
    folder = layout.folder / f"sentinel-{number}"
    return Part(
        name=f"sentinel-{number}",
        layer="cache",
        address=layout.address("sentinel", number),
        command=("/usr/bin/redis-sentinel", str(folder / "sentinel.conf")),
        user=account("redis"),
        machine=layout.machine("sentinel", number),
        check=lambda: _quorum(layout, number),
        prepare=lambda: _prepare_sentinel(layout, number),
    )


def _prepare_sentinel(layout: Layout, number: int) -> None:
    user = account("redis")
    file = layout.place(f"sentinel-{number}", user=user) / "sentinel.conf"
    if file.exists():
        return
    render(
        "redis/sentinel.conf",
        file,
        {
            "host": layout.host("sentinel", number),
            "port": layout.port("sentinel", number),
            "folder": file.parent,
            "primary": layout.address("redis", _PRIMARY).replace(":", " "),
            "password": layout.secret("redis"),
            "sentinel_password": layout.secret("sentinel"),
        },
        user,
        private=True,
    )


def _quorum(layout: Layout, number: int) -> str:
    commands = [f"AUTH {layout.secret('sentinel')}", f"SENTINEL CKQUORUM {MASTER}"]
    reply = speak(layout.address("sentinel", number), commands)[1].strip()
    if not reply.startswith("+OK"):
        raise Unhealthy(reply[:80] or "no answer")
    return "quorum"


def url(layout: Layout) -> str:
    """Return the REDIS_URL of a node."""
    hosts = ",".join(layout.address("sentinel", number) for number in SENTINELS)
    password = layout.secret("sentinel")
    return f"redis+sentinel://:{layout.secret('redis')}@{hosts}/{MASTER}?sentinel_password={password}"


def exporter(layout: Layout) -> Part:
    """Return the one exporter for all servers: Prometheus names the server in each scrape."""
    address = layout.address("redis-exporter")
    passwords = layout.folder / "watching" / "redis.json"
    return Part(
        name="redis-exporter",
        layer="watching",
        address=address,
        command=(
            "/usr/bin/prometheus-redis-exporter",
            f"-web.listen-address={address}",
            f"-redis.password-file={passwords}",
            "-redis.addr=",
        ),
        user=account("prometheus"),
        prepare=lambda: _passwords(layout),
        check=answers(address, "/metrics", "scraped"),
    )


def _passwords(layout: Layout) -> None:
    user = account("prometheus")
    known = {f"redis://{layout.address('redis', n)}": layout.secret("redis") for n in REDIS}
    known |= {f"redis://{layout.address('sentinel', n)}": layout.secret("sentinel") for n in SENTINELS}
    write_private(layout.place("watching", user=user) / "redis.json", json.dumps(known), user)
