"""From one deployment to another as docs/admin.md says, also through a spreadsheet."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path

from laurels.domain.actions import Submission
from laurels.ledger.db.pool import Pool

from .commands import answer, laurels, serving
from .test_transfer import a_history, bad_lines, elsewhere, imported, told

__all__ = ["elsewhere"]


def through_a_spreadsheet(path: Path) -> None:
    """Keep 15 digits of every number, and none of its leading zeros."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    saved = io.StringIO()
    csv.writer(saved).writerows([[_saved(cell) for cell in row] for row in rows])
    path.write_text(saved.getvalue(), encoding="utf-8-sig")


def _saved(cell: str) -> str:
    digits = cell.lstrip("-")
    if not digits.isdigit():
        return cell
    kept = digits.lstrip("0") or "0"
    return cell[: len(cell) - len(digits)] + kept[:15] + "0" * (len(kept) - 15)


async def test_a_ledger_survives_a_spreadsheet(pool: Pool, database_url: str, elsewhere: str, tmp_path: Path) -> None:
    """Fingerprints and identifiers have more digits than a spreadsheet keeps."""
    await a_history(pool)
    await pool.execute("ALTER TABLE actions DISABLE TRIGGER actions_guard")
    await pool.execute(
        "UPDATE actions SET action_identifier = '00' || 9223372036854775000 + id WHERE kind = 'completion'"
    )
    before = await told(database_url)
    for what in ("users", "ledger"):
        path = tmp_path / f"{what}.csv"
        await asyncio.to_thread(
            answer, "export", what, "--out", str(path), "--spreadsheet-safe", DATABASE_URL=database_url
        )
        through_a_spreadsheet(path)
        assert (await asyncio.to_thread(imported, elsewhere, what, path))[1]["bad_rows"] == 0
    assert (await told(elsewhere))["rows"] == before["rows"]


def test_a_fingerprint_that_a_spreadsheet_shortened_is_a_bad_row(database_url: str, tmp_path: Path) -> None:
    """Taken as it is, it would make every retry of the request a conflict."""
    answer("user", "create", "ada", DATABASE_URL=database_url)
    exact = Submission(1, "lesson", "a", None).fingerprint()
    shortened = int(_saved(str(exact)))
    history = tmp_path / "ledger.csv"
    head = "username,score_earned,action_type,action_identifier,fingerprint\n"
    history.write_text(head + f"ada,1,lesson,a,{shortened}\nada,1,lesson,b,{exact}\nada,1,lesson,c,12000\n")
    code, report = imported(database_url, "ledger", history)
    assert (code, report["added"]) == (1, 2)
    assert "fingerprint" in bad_lines(report)[2]
    assert "spreadsheet" in bad_lines(report)[2]


def test_an_account_may_be_older_than_the_one_that_is_there(database_url: str, tmp_path: Path) -> None:
    """The new deployment made its admin before the old one's users came."""
    answer("user", "create", "admin", "--role", "admin", DATABASE_URL=database_url)
    people = tmp_path / "users.csv"
    people.write_text("username,role,created_at\nadmin,admin,2025-03-01T12:00:00Z\nada,player,2025-03-01T12:00:00Z\n")
    report = answer("import", "users", str(people), DATABASE_URL=database_url)
    assert (report["added"], report["present"]) == (1, 1)


def test_a_node_says_that_no_admin_can_log_in(data: Path, tmp_path: Path) -> None:
    """Its ledger came with an admin who has no password, so no first one is made."""
    people = tmp_path / "users.jsonl"
    people.write_text(json.dumps({"username": "boss", "role": "admin"}) + "\n")
    assert answer("import", "users", str(people), LAURELS_DATA=data)["added"] == 1
    with serving(data) as served:
        assert "no admin can log in" in served.log
    assert laurels("user", "show", "admin", LAURELS_DATA=data).returncode == 2
