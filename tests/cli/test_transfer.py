"""Import and export: what goes out comes in exactly, nothing twice, whatever is killed in between."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.conftest import _create, _database
from tests.ledger.conftest import running_ledger
from tests.support.polling import eventually

from laurels.domain.actions import Submission
from laurels.domain.metadata import canonical_metadata
from laurels.ledger.corrections import corrections, review
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.pool import Pool
from laurels.ledger.events.audit import SYSTEM

from .commands import LAURELS, answer, environment, laurels

WHATS = ("users", "action-types", "ledger")


@pytest.fixture
async def elsewhere(postgres: str) -> AsyncIterator[str]:
    """Address of another, empty ledger."""
    await _create(postgres, "elsewhere")
    yield _database(postgres, "elsewhere")
    admin = await asyncpg.connect(postgres)
    await admin.execute("DROP DATABASE elsewhere WITH (FORCE)")
    await admin.close()


async def a_history(pool: Pool) -> None:
    """A ledger with some of everything: weeks past, all verdicts, reversals, an adjustment, a banned user."""
    await pool.execute(
        "INSERT INTO users (username, username_fold, username_skeleton, email, created_at) "
        "SELECT 'Mx ' || n, 'mx ' || n, 'mx ' || n, n || '@example.org', now() - interval '100 days' "
        "FROM generate_series(1, 12) n"
    )
    await pool.execute("UPDATE users SET status = 'banned' WHERE id = 3")
    dice = random.Random(7)
    async with running_ledger(pool) as ledger:
        sent = [
            Submission(dice.randint(4, 12), dice.choice(["lesson", "quiz"]), f'id, "{n}"\u2764', f'{{"n": {n}}}')
            for n in range(120)
        ]
        results = await ledger.writer.submit(sent)
        awarded = [result.accepted.action.action_id for result in results if hasattr(result, "accepted")]
        for action_id in awarded[::9]:
            await corrections.reverse(pool, SYSTEM, action_id, "a test")
        await corrections.adjust(pool, ledger.catalogue, SYSTEM, 5, -7, "a test", "adj-1")


async def told(url: str) -> dict[str, Any]:
    """Return rows, standings and counters by name: two ledgers must agree on them."""
    connection = await asyncpg.connect(url)
    queries = {
        "standings": "SELECT b.slug, w.starts_at, u.username, s.score, s.sort_score, s.reached_at, s.hidden "
        "FROM standings s JOIN windows w ON w.id = s.window_id JOIN boards b ON b.id = w.board_id "
        "JOIN users u ON u.id = s.user_id WHERE NOT s.void ORDER BY 1, 2, 3",
        "order": "SELECT u.username FROM standings s JOIN users u ON u.id = s.user_id WHERE NOT s.hidden "
        "AND s.window_id = (SELECT w.id FROM windows w WHERE w.starts_at IS NULL) "
        "ORDER BY s.sort_score, s.reached_at, s.user_id",
        "rows": "SELECT u.username, a.kind, a.action_identifier, a.score_earned, a.new_score, a.status, a.fingerprint, "
        "a.metadata::text, a.reason, a.completed_at, a.created_at FROM actions a JOIN users u ON u.id = a.user_id "
        "ORDER BY a.user_id, a.id",
        "progress": "SELECT u.username, p.action_type_id, p.total_count, p.day, p.day_count, p.last_at, p.hour_count, "
        "p.minute_count, p.streak FROM user_action_counters p JOIN users u ON u.id = p.user_id ORDER BY 1, 2",
        "users": "SELECT username, email, role, status, current_score, points_today, created_at FROM users ORDER BY 1",
    }
    found = {what: [tuple(row) for row in await connection.fetch(query)] for what, query in queries.items()}
    await connection.close()
    return found


def run_all(url: str, folder: Path, suffix: str, verb: Callable[[str, Path], tuple[str, ...]]) -> list[Any]:
    return [answer(*verb(what, folder / f"{what}.{suffix}"), DATABASE_URL=url) for what in WHATS]


def out(what: str, path: Path) -> tuple[str, ...]:
    return "export", what, "--out", str(path)


def into(what: str, path: Path) -> tuple[str, ...]:
    return "import", what, str(path)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
async def test_what_goes_out_comes_in_exactly(
    pool: Pool, database_url: str, elsewhere: str, tmp_path: Path, suffix: str
) -> None:
    """Rows, standings, counters and order are equal, `verify` is clean, and running it again adds nothing."""
    await a_history(pool)
    exported = await asyncio.to_thread(run_all, database_url, tmp_path, suffix, out)
    before = await told(database_url)
    kinds = len(answer("type", "list", DATABASE_URL=database_url))
    assert [done["rows"] for done in exported] == [12, kinds, len(before["rows"])]
    first = await asyncio.to_thread(run_all, elsewhere, tmp_path, suffix, into)
    assert [(done["added"], done["bad_rows"]) for done in first] == [(12, 0), (0, 0), (len(before["rows"]), 0)]
    assert await told(elsewhere) == before
    assert answer("verify", DATABASE_URL=elsewhere)["clean"]
    again = await asyncio.to_thread(run_all, elsewhere, tmp_path, suffix, into)
    assert [done["added"] for done in again] == [0, 0, 0]
    assert [done["present"] for done in again] == [12, kinds, len(before["rows"])]
    assert await told(elsewhere) == before


async def test_an_import_keeps_what_a_request_would_keep(pool: Pool, database_url: str, tmp_path: Path) -> None:
    """Metadata in its canonical form, and a long claimed value as its digest: a retry is recognised."""
    rules = tmp_path / "rules.json"
    rules.write_text('{"once_for_all": "code"}')
    answer("type", "create", "redeem", "--base-score", "5", "--rules", str(rules), DATABASE_URL=database_url)
    answer("user", "create", "ada", DATABASE_URL=database_url)
    code = "c" * 3_000
    history = tmp_path / "ledger.jsonl"
    row = {"username": "ada", "action_type": "redeem", "action_identifier": "a", "score_earned": 5}
    history.write_text(json.dumps(row | {"metadata": {"n": 5.0, "code": code}}) + "\n")
    report = await asyncio.to_thread(answer, "import", "ledger", str(history), DATABASE_URL=database_url)
    assert (report["added"], report["bad_rows"]) == (1, 0)
    kept = await pool.fetchrow("SELECT fingerprint, metadata::text AS metadata FROM actions")
    sent = Submission(1, "redeem", "a", canonical_metadata({"code": code, "n": 5}, "$"))
    assert kept["fingerprint"] == sent.fingerprint()
    assert json.loads(kept["metadata"]) == {"code": code, "n": 5}
    assert await pool.fetchval("SELECT value FROM claims") == f"sha256:{hashlib.sha256(code.encode()).hexdigest()}"


async def test_held_actions_wait_where_they_are_imported(
    pool: Pool, database_url: str, elsewhere: str, tmp_path: Path
) -> None:
    """They count nothing there either, until they are approved."""
    await a_history(pool)
    await pool.execute("ALTER TABLE actions DISABLE TRIGGER actions_guard")
    await pool.execute(
        "WITH held AS (UPDATE actions SET status = 'held' WHERE id = 2 RETURNING id) "
        "INSERT INTO reviews (action_id, code, detail) SELECT id, 'fast', 'Too fast.' FROM held"
    )
    await asyncio.to_thread(run_all, database_url, tmp_path, "csv", out)
    await asyncio.to_thread(run_all, elsewhere, tmp_path, "csv", into)
    other = await ledger_pool.connect(elsewhere, size=6)
    (held,) = (await review.pending(other, None, 10)).rows
    assert (held.code, held.detail) == ("fast", "Too fast.")
    await review.approve(other, SYSTEM, held.action_id, "fine")
    await other.close()
    assert answer("verify", DATABASE_URL=elsewhere)["clean"]


async def count(connection: asyncpg.Connection) -> int:
    return await connection.fetchval("SELECT count(*) FROM actions")


def a_big_file(path: Path, rows: int, users: int) -> None:
    """A history of the last hundred days, in the order of time, from something that is not Laurels."""
    start = datetime.now(UTC) - timedelta(days=100)
    with path.open("w") as file:
        for n in range(rows):
            at = start + timedelta(seconds=n * 8_000_000 / rows)
            row = {"username": f"u{n * 7919 % users:05}", "action_type": "lesson", "action_identifier": f"old-{n}"}
            file.write(json.dumps(row | {"score_earned": n % 13, "created_at": at.isoformat()}) + "\n")


async def test_an_import_that_is_killed_goes_on_where_it_was(database_url: str, tmp_path: Path) -> None:
    """SIGKILL in the middle of it, twice; then it runs to its end, and every row is there once, folded exactly."""
    users, rows = 300, 30_000
    people, history = tmp_path / "users.csv", tmp_path / "ledger.jsonl"
    people.write_text("username\n" + "".join(f"u{n:05}\n" for n in range(users)))
    a_big_file(history, rows, users)
    assert answer("import", "users", str(people), DATABASE_URL=database_url)["added"] == users
    connection = await asyncpg.connect(database_url)
    for _ in range(2):
        present = await count(connection)
        process = await asyncio.create_subprocess_exec(
            *(*LAURELS, "import", "ledger", str(history)),
            env=environment(DATABASE_URL=database_url),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await eventually(lambda: count(connection), present.__lt__, within=30)
        process.kill()
        await process.wait()
    assert await connection.fetchval("SELECT count(*) FROM pending_refolds") > 0
    done = await asyncio.to_thread(answer, "import", "ledger", str(history), DATABASE_URL=database_url)
    assert done["present"] > 0
    assert done["added"] + done["present"] == rows
    assert await count(connection) == rows
    assert await connection.fetchval("SELECT count(*) FROM pending_refolds") == 0
    assert await connection.fetchval("SELECT sum(current_score) FROM users") == sum(n % 13 for n in range(rows))
    assert (await asyncio.to_thread(answer, "verify", DATABASE_URL=database_url))["clean"]
    weeks = await connection.fetch(
        "SELECT sum(s.score) AS points, (SELECT sum(score_earned) FROM actions a "
        "WHERE a.created_at >= w.starts_at AND a.created_at < w.ends_at) AS earned "
        "FROM windows w JOIN standings s ON s.window_id = w.id WHERE w.starts_at IS NOT NULL GROUP BY w.id"
    )
    assert len(weeks) >= 12  # windows that were over are made
    assert all(week["points"] == week["earned"] for week in weeks)
    await connection.close()


BAD_LINES = {
    "no JSON": "{",
    "an unknown member": '{"username": "ada", "score_earned": 1, "points": 5}',
    "stranger": '{"username": "stranger", "score_earned": 1, "action_type": "lesson", "action_identifier": "x"}',
    "an unknown type": '{"username": "ada", "score_earned": 1, "action_type": "fly", "action_identifier": "x"}',
    "no identifier": '{"username": "ada", "score_earned": 1, "action_type": "lesson"}',
    "beyond 64 bits": '{"username": "ada", "score_earned": 9223372036854775808, "action_type": "lesson", '
    '"action_identifier": "x"}',
    "the future": '{"username": "ada", "score_earned": 1, "action_type": "lesson", "action_identifier": "x", '
    '"created_at": "2999-01-01T00:00:00Z"}',
    "a NUL": '{"username": "ada", "score_earned": 1, "action_type": "lesson", "action_identifier": "x", '
    '"metadata": {"a": "\\u0000"}}',
    "nothing to undo": '{"username": "ada", "score_earned": -1, "kind": "reversal", "undoes": "none"}',
}


def test_bad_rows_are_named_by_their_line(database_url: str, tmp_path: Path) -> None:
    """Skipped when asked to, with the lines and why; otherwise the first ends it, after what stands above went in."""
    history = tmp_path / "ledger.jsonl"
    good = '{"username": "ada", "score_earned": 3, "action_type": "lesson", "action_identifier": "%s"}'
    history.write_text("\n".join([good % "first", *BAD_LINES.values(), good % "last"]))
    answer("user", "create", "ada", DATABASE_URL=database_url)
    stopped = laurels("import", "ledger", str(history), "--json", DATABASE_URL=database_url)
    report = json.loads(stopped.stdout)
    assert (stopped.returncode, report["added"], report["stopped_at"]) == (1, 1, 2)
    skipped = laurels("import", "ledger", str(history), "--on-error", "skip", "--json", DATABASE_URL=database_url)
    report = json.loads(skipped.stdout)
    assert (skipped.returncode, report["added"], report["present"]) == (1, 1, 1)
    assert [row["line"] for row in report["bad"]] == list(range(2, 2 + len(BAD_LINES)))
    assert all(row["why"] for row in report["bad"])
    assert answer("verify", DATABASE_URL=database_url)["clean"]


def test_users_that_look_like_others_stay_out(database_url: str, tmp_path: Path) -> None:
    """A name in another spelling, a look-alike, a taken address, a name that can't be: each by its line."""
    people = tmp_path / "users.csv"
    people.write_text(
        "username,email,role\nada,ada@example.org,\nADA,,\n\u0430da,,\nbob,ada@example.org,\nx,,\neve,,king\nkim,,moderator\n"
    )
    done = laurels("import", "users", str(people), "--on-error", "skip", "--json", DATABASE_URL=database_url)
    report = json.loads(done.stdout)
    assert (report["added"], [row["line"] for row in report["bad"]]) == (2, [3, 4, 5, 6, 7])
    assert answer("user", "show", "kim", DATABASE_URL=database_url)["role"] == "moderator"


def test_an_import_takes_honest_names_that_are_similar(database_url: str, tmp_path: Path) -> None:
    """Also next to an operator's: the operator who imports answers for the file."""
    people = tmp_path / "users.csv"
    people.write_text("username,role\nArno,\nAmo,moderator\nTeam 11,\nTeam II,\nadm1n,\nkrn\u0131k,\nkmik,\n", "utf-8")
    report = answer("import", "users", str(people), DATABASE_URL=database_url)
    assert (report["added"], report["bad"]) == (7, [])


def imported(url: str, what: str, path: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    done = laurels("import", what, str(path), "--on-error", "skip", "--json", *flags, DATABASE_URL=url)
    return done.returncode, json.loads(done.stdout)


def bad_lines(report: dict[str, Any]) -> dict[int, str]:
    return {row["line"]: row["why"] for row in report["bad"]}


def test_a_user_who_is_there_with_other_values_is_not_called_present(database_url: str, tmp_path: Path) -> None:
    """Neither in the ledger nor further up in the file; columns that the file does not give may differ."""
    people, rejects = tmp_path / "users.csv", tmp_path / "rejects.csv"
    people.write_text("username;email;role\nada;ada@example.org;admin\nbob;;\n", encoding="utf-8-sig")
    assert imported(database_url, "users", people)[0] == 0
    people.write_text(
        "Username,EMAIL,role,\r\nada,ada@example.org,,\r\nbob,bob@example.org,,\r\nAda,,,\r\n"
        "cid,cid@example.org,,\r\ncid,cid@example.org,,\r\ncid,,,\r\n\u0441id,,,\r\ndan,CID@example.org,,\r\n"
        "dan,CID@example.org,,\r\n",
        newline="",
    )
    code, report = imported(database_url, "users", people, "--rejects", str(rejects))
    assert (code, report["added"], report["present"], report["bad_rows"]) == (1, 1, 2, 6)
    why = bad_lines(report)
    assert why[3].endswith("differs: email")
    assert why[4].endswith("differs: username")
    assert why[7].endswith("repeats line 5, but differs: email")
    assert why[8].endswith("the name looks like another one")
    assert why[9].endswith("the address has an account")
    assert why[10].endswith("repeats line 9, which is bad")
    assert rejects.stat().st_mode & 0o777 == 0o600
    assert [line.split(",")[0] for line in rejects.read_text().splitlines()] == ["line", *map(str, sorted(why))]


def test_a_row_that_is_there_with_other_values_is_not_called_present(database_url: str, tmp_path: Path) -> None:
    """Completions, adjustments and reversals, in the ledger and in the same file."""
    answer("user", "create", "ada", DATABASE_URL=database_url)
    history = tmp_path / "ledger.csv"
    head = "username\tkind\tscore_earned\taction_type\taction_identifier\tundoes\treason\n"
    rows = [
        "ada\tcompletion\t5\tlesson\ta\t\t",
        "ada\tcompletion\t7\tlesson\tb\t\t",
        "ada\tadjustment\t3\t\ta\t\tlost",
        "ada\treversal\t-5\t\t\ta\tforged",
    ]
    history.write_text(head + "\n".join(rows))
    assert imported(database_url, "ledger", history)[1]["added"] == 4
    again = [rows[0].replace("5", "6"), rows[1], rows[2].replace("lost", "found"), rows[3].replace("forged", "")]
    new = ["ada\tcompletion\t1\tlesson\tc\t\t", "ada\tcompletion\t2\tlesson\tc\t\t"]
    history.write_text(head + "\n".join([*again, *new, new[0]]))
    code, report = imported(database_url, "ledger", history)
    assert (code, report["added"], report["present"], report["bad_rows"]) == (1, 1, 3, 3)
    assert bad_lines(report) == {
        2: "is there already and differs: score_earned",
        4: "is there already and differs: reason",
        7: "names the row of line 6, but differs: score_earned",
    }


def test_an_action_type_that_differs_is_not_called_present(database_url: str, tmp_path: Path) -> None:
    types = tmp_path / "types.jsonl"
    types.write_text('{"name": "lesson", "base_score": 123456}\n{"name": "brand-new", "base_score": 1}\n')
    code, report = imported(database_url, "action-types", types)
    assert (code, report["added"]) == (1, 1)
    assert bad_lines(report) == {1: "'lesson': is there already and differs: base_score"}


def test_a_file_that_ends_badly_is_told_of_up_to_there(database_url: str, tmp_path: Path) -> None:
    """The rows above are imported and counted; the reason is one line, and the exit code 2."""
    people = tmp_path / "users.csv"
    people.write_bytes(b"username\nann\nbob\nj\xf6rg\ncid\n")
    done = laurels("import", "users", str(people), "--json", DATABASE_URL=database_url)
    assert (done.returncode, json.loads(done.stdout)["added"]) == (2, 2)
    assert len(done.stderr.splitlines()) == 1
    assert "line 4, byte 2 of the line: 0xf6" in done.stderr


async def test_many_new_users_into_a_ledger_of_few(pool: Pool, database_url: str, tmp_path: Path) -> None:
    """Statistics that say that every user has many rows must not make each new one read them all."""
    await pool.execute(
        "INSERT INTO users (id, username, username_fold, username_skeleton) "
        "SELECT n, 'user-' || n, 'user-' || n, 'user-' || n FROM generate_series(1, 5003) n"
    )
    await pool.execute(
        "INSERT INTO actions (user_id, action_type_id, action_identifier, score_earned, new_score, fingerprint, "
        "batch_id, completed_at, created_at) SELECT 1 + n % 3, 1, 'i' || n, 10, 10, n, n, now(), now() "
        "FROM generate_series(1, 4000) n"
    )
    await pool.execute("ANALYZE")
    history = tmp_path / "ledger.csv"
    rows = (f"user-{n},1,lesson,new-{n}\n" for n in range(4, 5004))
    history.write_text("username,score_earned,action_type,action_identifier\n" + "".join(rows))
    before = await _read_through(pool)
    report = await asyncio.to_thread(answer, "import", "ledger", str(history), DATABASE_URL=database_url)
    assert (report["added"], report["bad_rows"]) == (5_000, 0)
    # Each user walks past all rows in the wrong plan: 20 million entries of the index.
    assert await _read_through(pool) - before < 100_000


async def _read_through(pool: Pool) -> int:
    return await pool.fetchval("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'actions_pkey'")


def test_a_file_that_is_none_is_one_line(database_url: str, tmp_path: Path) -> None:
    strange = tmp_path / "strange.csv"
    strange.write_text("name,points\nada,3\n")
    for arguments in ((str(tmp_path / "none.csv"),), (str(tmp_path),), (str(strange),), ("-",)):
        done = laurels("import", "ledger", *arguments, DATABASE_URL=database_url)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert len(done.stderr.splitlines()) == 1, done.stderr


async def test_password_hashes_go_out_only_when_asked_for(database_url: str, elsewhere: str, tmp_path: Path) -> None:
    """And then into a file that its owner alone may read; who is imported with one can log in."""
    made = answer("user", "create", "ada", DATABASE_URL=database_url)
    path = tmp_path / "users.jsonl"
    answer("export", "users", "--out", str(path), DATABASE_URL=database_url)
    assert "argon2" not in path.read_text()
    answer("export", "users", "--out", str(path), "--password-hashes", DATABASE_URL=database_url)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "argon2id" in path.read_text()
    assert made["password"] not in path.read_text()
    answer("import", "users", str(path), DATABASE_URL=elsewhere)
    connection = await asyncpg.connect(elsewhere)
    assert (await connection.fetchval("SELECT password_hash FROM users")).startswith("$argon2id$")
    await connection.close()


def test_an_export_for_spreadsheets_runs_nothing(database_url: str, tmp_path: Path) -> None:
    """Cells that begin like a formula have an apostrophe; importing takes it off."""
    path = tmp_path / "users.csv"
    path.write_text("username\n=1+1\n@sum\n-2-3\n'=xy\n")
    assert imported(database_url, "users", path)[1]["added"] == 4
    answer("export", "users", "--out", str(path), "--spreadsheet-safe", DATABASE_URL=database_url)
    cells = {line.split(",")[0] for line in path.read_text(encoding="utf-8-sig").splitlines()}
    assert cells == {"username", "'=1+1", "'@sum", "'-2-3", "'=xy"}
    assert imported(database_url, "users", path)[1]["present"] == 4
    refused = laurels("export", "users", "--spreadsheet-safe", DATABASE_URL=database_url)
    assert (refused.returncode, refused.stdout) == (2, "")


def test_rows_go_through_a_pipe(database_url: str) -> None:
    """Out on standard output, in from standard input, with what was done on standard error."""
    done = laurels("export", "action-types", "--format", "jsonl", DATABASE_URL=database_url)
    assert json.loads(done.stdout.splitlines()[0])["name"] == "lesson"
    kinds = len(done.stdout.splitlines())
    assert f"{kinds} rows" in done.stderr
    piped = subprocess.run(
        [*LAURELS, "import", "action-types", "-", "--format", "jsonl", "--json"],
        env=environment(DATABASE_URL=database_url),
        input=done.stdout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(piped.stdout)["present"] == kinds
