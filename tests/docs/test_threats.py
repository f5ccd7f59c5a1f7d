"""docs/threats.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_answer_to_an_attack_is_shown_by_a_test() -> None:
    text = (TESTS.parent / "docs" / "threats.md").read_text()
    rows = [row for row in text.splitlines() if row.startswith("| ") and not row.startswith("| attack ")]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
        assert named, row
        for path, test in named:
            assert re.search(rf"^(async )?def {test}\(", (TESTS / path).read_text(), re.MULTILINE), f"{path}::{test}"
