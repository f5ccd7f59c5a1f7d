"""Memory of a million members, and the time in which a starting node loads them"""

from __future__ import annotations

import json

from ..floors import process
from ..measure import Aim, Measure, Row, against, alternate
from . import Scene

MEMORY_MIB = 300.0
TURNS = 3
"""Few turns: the memory of a process hardly varies, and a million rows take long."""


async def measure(scene: Scene) -> list[Row]:
    members, turns = scene.sizes.many, min(TURNS, scene.sizes.turns)
    scene.tick(f"members: writing {members:,} standings")
    url = await scene.stage.database(players=members, standings=members)
    weigh = [
        ("members: index", _probe("index", str(members), "mib", members)),
        ("members: plain", _probe("plain", str(members), "mib", members)),
    ]
    load = [
        ("members: load", _probe("load", url, "seconds", members)),
        ("members: rows", _probe("rows", url, "seconds", members)),
        ("members: peak", _probe("load", url, "peak_mib", members)),
    ]
    index, plain = await alternate(turns, weigh, scene.tick)
    await _probe("rows", url, "seconds", members)(-1)  # into PostgreSQL's memory
    seconds, read, peak = await alternate(turns, load, scene.tick)
    aim = Aim("figure", "≤", MEMORY_MIB)
    return [
        against(f"Memory of {members:,} members in the index", "MiB", index, "a list and a dict", plain, aim=aim),
        against(f"A starting node loads {members:,} standings", "s", seconds, "reading the rows", read),
        against("… and grows meanwhile by at most", "MiB", peak, "the index itself", index),
    ]


def _probe(name: str, argument: str, figure: str, members: int) -> Measure:
    async def measure_once(_: int) -> float:
        async with process("bench.floors.probes", name, argument, patience=300) as (line, _pid):
            said = json.loads(line)
        if said["members"] != members:
            raise RuntimeError(f"{name} found {said['members']} of {members} members")
        return float(said[figure])

    return measure_once
