"""Sentences that are put together are English."""

from __future__ import annotations

import pytest

from laurels.domain.wording import ordinal


@pytest.mark.parametrize(
    "expected", ["0th", "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th", "1003rd"]
)
def test_ordinals(expected: str) -> None:
    assert ordinal(int(expected[:-2])) == expected
