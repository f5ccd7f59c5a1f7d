"""The table of parts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from .supervisor import PartStatus


def table(seen: Sequence[PartStatus], title: str | None = None) -> Table:
    grid = Table("part", "address", "health", "memory", title=title, title_justify="left")
    grid.columns[0].no_wrap = grid.columns[1].no_wrap = True
    grid.columns[3].justify = "right"
    layer = None
    for one in seen:
        if layer not in (None, one.layer):
            grid.add_section()
        layer = one.layer
        health = Text(("● " if one.healthy else "○ ") + one.state, style="green" if one.healthy else "bold red")
        grid.add_row(one.name, one.address, health, megabytes(one.memory))
    grid.add_section()
    well = sum(one.healthy for one in seen)
    grid.add_row(f"{len(seen)} parts", "", f"{well} healthy", megabytes(sum(one.memory for one in seen)))
    return grid


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size else ""
