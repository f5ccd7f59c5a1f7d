"""Decision records are numbered without gaps, dated, listed in their index, and linked both ways."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "adr"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
STATUS = re.compile(r"^\*\*Status\*\*: (?:accepted|superseded) · \d{4}-\d\d-\d\d(?: · (.+(?:\n.+)*))?$", re.MULTILINE)


def test_numbers_have_no_gaps_and_stand_in_the_title() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))
    for record in RECORDS:
        assert record.read_text().startswith(f"# {int(record.name[:4])}. "), record.name


def test_every_record_has_a_status_and_a_date() -> None:
    assert [record.name for record in RECORDS if not STATUS.search(record.read_text())] == []


def test_the_index_lists_every_record() -> None:
    listed = re.findall(r"^\| \[(\d+)\]\((.+?)\)", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert listed == [(str(int(record.name[:4])), record.name) for record in RECORDS]


def test_amendments_are_named_on_both_sides() -> None:
    newer_says, older_says = set(), set()
    for record in RECORDS:
        number = int(record.name[:4])
        status = STATUS.search(record.read_text())
        assert status is not None, record.name
        for part in (status[1] or "").split(" · "):
            others = [int(other) for other in re.findall(r"\[(\d+)\]\(", part)]
            if part.startswith(("amends", "supersedes")):
                newer_says |= {(number, other) for other in others}
            else:
                older_says |= {(other, number) for other in others}
    assert newer_says == older_says != set()
