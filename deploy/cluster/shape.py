"""All parts in start order. The parts of one stage start at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .layout import DATABASES, NODES, REDIS, Layout
from .part import Part, Stage
from .parts import cache, database, edge, logs, nodes, watching


def stages(layout: Layout) -> list[Stage]:
    """Return the stages; each one needs those before it."""
    install, migrate = nodes.steps(layout)
    first, *followers = (database.postgres(layout, number) for number in DATABASES)
    master, *replicas = (cache.redis(layout, number) for number in REDIS)
    return [
        Stage([*database.etcd(layout), master], then=[install, database.install(layout)]),
        Stage([first, *replicas, *cache.sentinels(layout)]),
        Stage(followers, then=[*database.steps(layout), migrate, database.grants(layout)]),
        Stage(nodes.nodes(layout)),
        Stage([edge.edge(layout, [layout.address("node", number) for number in NODES])]),
        Stage([*_exporters(layout), *watching.parts(layout)]),
        Stage([logs.engine(layout)], then=[logs.templates(layout)]),
        Stage([logs.shipper(layout)]),
    ]


def _exporters(layout: Layout) -> Iterator[Part]:
    yield from database.exporters(layout)
    yield cache.exporter(layout)
    yield edge.exporter(layout)


def parts(layout: Layout) -> Sequence[Part]:
    return [part for stage in stages(layout) for part in stage.parts]
