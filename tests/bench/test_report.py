"""Reports: two runs are compared fairly, and the same rows draw the same chart."""

from __future__ import annotations

import json
from pathlib import Path

from bench.measure import Aim, Row, Spread, against

from bench import charts, history, report

MACHINE = {"CPU": "one", "Commit": "abc", "Date": "then"}


def _run(*rows: Row) -> report.Run:
    return report.Run("bench", MACHINE, {"q": rows}, {"q": "How much?"})


def _before(folder: Path, *rows: Row) -> history.LastRun:
    file = folder / "results.json"
    file.write_text(json.dumps(report.for_machines(_run(*rows))))
    told = history.last_run(file)
    assert told is not None
    return told


def test_a_ratio_that_left_its_range_has_moved(tmp_path: Path) -> None:
    before = _before(tmp_path, against("rate", "/s", [100, 110, 120], "floor", [200, 200, 200]))
    moves = before.moves([against("rate", "/s", [200, 210, 220], "floor", [200, 200, 200])])
    assert [(move.question, move.of, move.before, move.after) for move in moves] == [("rate", "ratio", 0.55, 1.05)]


def test_a_faster_machine_moves_no_ratio(tmp_path: Path) -> None:
    before = _before(tmp_path, against("rate", "/s", [100, 110], "floor", [200, 220]))
    assert before.moves([against("rate", "/s", [300, 330], "floor", [600, 660])]) == []


def test_what_lies_within_the_old_range_has_not_moved(tmp_path: Path) -> None:
    before = _before(tmp_path, Row("memory", "MiB", Spread(100, 80, 140)))
    assert before.moves([Row("memory", "MiB", Spread(135, 130, 150))]) == []


def test_questions_of_one_run_alone_are_not_compared(tmp_path: Path) -> None:
    before = _before(tmp_path, Row("old", "s", Spread(1, 1, 1)))
    assert before.moves([Row("new", "s", Spread(9, 9, 9))]) == []


def test_the_same_rows_draw_the_same_bytes_without_a_font() -> None:
    rows = [
        against("rate", "/s", [100, 110], "floor", [200, 200], aim=Aim("ratio", "≥", 0.6)),
        Row("memory", "MiB", Spread(100, 90, 110), aim=Aim("figure", "≤", 120)),
    ]
    drawn = charts.draw(rows)
    assert drawn is not None
    assert drawn == charts.draw(rows)
    assert "font-face" not in drawn
    assert "memory (of its aim)" in drawn


def test_rows_without_floor_or_aim_draw_nothing() -> None:
    assert charts.draw([Row("batch size", "", Spread(16, 15, 17))]) is None
