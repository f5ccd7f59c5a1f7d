"""One chart per question: the ratio of each figure to its floor, and its target.

Ratios are the only unit that all rows of a question share. A row without a floor is drawn as a multiple of its target.
The same rows give the same bytes; text is not converted to paths, so no font is embedded; colours follow the theme.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .measure import Row, Spread

INK, GOOD, BAD = "#1f2328", "#1a7f37", "#cf222e"
_AT_NIGHT = {INK: "#e6edf3", GOOD: "#3fb950", BAD: "#f85149"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "laurels",
    "font.family": "sans-serif",
    "font.size": 9,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}
WIDEST_LABEL = 66


@dataclass(frozen=True, slots=True)
class _Line:
    label: str
    times: Spread
    aim: float | None
    met: bool | None


def draw(rows: Sequence[Row]) -> str | None:
    """Return the SVG; None if no row has a floor or a target."""
    lines = [line for row in rows if (line := _line(row)) is not None]
    if not lines:
        return None
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 0.8 + 0.34 * len(lines)))
        _plot(figure.add_subplot(), lines)
        figure.tight_layout()
        target = io.StringIO()
        figure.savefig(target, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _at_night(target.getvalue())


def _line(row: Row) -> _Line | None:
    label = row.question if len(row.question) <= WIDEST_LABEL else row.question[: WIDEST_LABEL - 1] + "…"
    if row.ratio is not None:
        aim = row.aim.value if row.aim and row.aim.of == "ratio" else None
        return _Line(label, row.ratio, aim, row.met)
    if row.aim is not None:
        share = [value / row.aim.value for value in (row.figure.median, row.figure.low, row.figure.high)]
        return _Line(f"{label} (of its aim)", Spread(*share), 1.0, row.met)
    return None


def _plot(axes: Axes, lines: Sequence[_Line]) -> None:
    for place, line in enumerate(lines):
        colour = {None: INK, True: GOOD, False: BAD}[line.met]
        axes.plot([line.times.low, line.times.high], [place, place], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot([line.times.median], [place], "o", color=colour, markersize=6)
        if line.aim is not None:
            axes.plot([line.aim], [place], "|", color=INK, markersize=15, markeredgewidth=1.5)
    axes.axvline(1.0, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yticks(range(len(lines)), [line.label for line in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel("times the floor (log). Dot: median; line: range; bar: aim; green: met, red: not met")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _at_night(svg: str) -> str:
    """Add the three colours for a dark theme."""
    rules = "".join(
        f'[style*="{kind}: {day}"]{{{kind}:{night}!important}}'
        for day, night in _AT_NIGHT.items()
        for kind in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme:dark){{text{{fill:{_AT_NIGHT[INK]}!important}}{rules}}}</style>"
    return svg.replace("<defs>", style + "<defs>", 1)
