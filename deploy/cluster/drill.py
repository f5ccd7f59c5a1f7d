"""The restore drill: back up, record what the ledger holds, go on, restore to that point in time, and compare.

A backup is proved only by restoring it. This one is restored beside the running cluster and deleted afterwards.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .layout import Layout, account
from .part import Unhealthy
from .parts.database import PROGRAMS, backup_command, primary, psql, run

RECOVERY_SECONDS = 120
ARCHIVE_SECONDS = 60
CLOCK_SECONDS = 1.5
"""Seconds between steps: a backup records its end in whole seconds, and the restore target must be clearly later."""

_LEDGER = "SELECT count(*) || ' actions, ' || coalesce(sum(score_earned), 0) || ' points' FROM actions"
_MARK = """
CREATE TABLE IF NOT EXISTS restore_drill (at timestamptz NOT NULL);
INSERT INTO restore_drill VALUES (clock_timestamp())"""
_MARKS = "SELECT count(*) FROM restore_drill"


@dataclass(frozen=True, slots=True)
class Drill:
    """The outcome. Times in seconds. `same`: the restored ledger equals the recorded one, to the last row."""

    backup_seconds: float
    restore_seconds: float
    noted: str
    restored: str
    later_rows_left_out: bool

    @property
    def same(self) -> bool:
        return self.noted == self.restored and self.later_rows_left_out


def drill(layout: Layout, report: Callable[[str], None]) -> Drill:
    """Run the drill on a healthy cluster and clean up. Raises Unhealthy with the reason of a failure."""
    number = primary(layout)
    report("full backup of the primary")
    started = time.monotonic()
    run(backup_command(layout, number, "backup", "--type=full"))
    backed_up = time.monotonic() - started
    time.sleep(CLOCK_SECONDS)
    psql(layout, _MARK, "laurels")
    noted, moment = _note(layout)
    time.sleep(CLOCK_SECONDS)
    psql(layout, _MARK, "laurels")
    _archived(layout)
    folder = layout.place("restore", user=account("postgres"))
    folder.chmod(0o700)
    try:
        report(f"restore to {moment}")
        started = time.monotonic()
        _restore(layout, number, folder, moment)
        restored, marks = _ask(layout, folder, _LEDGER), _ask(layout, folder, _MARKS)
        return Drill(backed_up, time.monotonic() - started, noted, restored, marks == _marks_until(layout, moment))
    finally:
        _stop(folder)
        shutil.rmtree(folder)
        psql(layout, "DROP TABLE IF EXISTS restore_drill", "laurels")


def _note(layout: Layout) -> tuple[str, str]:
    """Return what the ledger holds and the time at which it did; a lock keeps writers out meanwhile."""
    statement = f"BEGIN; LOCK TABLE actions IN SHARE MODE; {_LEDGER}; SELECT clock_timestamp(); COMMIT"
    held, moment = psql(layout, statement, "laurels").split("\n")[:2]
    return held, moment


def _marks_until(layout: Layout, moment: str) -> str:
    return psql(layout, f"SELECT count(*) FROM restore_drill WHERE at <= '{moment}'", "laurels").strip()


def _archived(layout: Layout) -> None:
    """Wait until the WAL that holds the later row is in the repository."""
    segment = psql(layout, "SELECT pg_walfile_name(pg_switch_wal())").strip()
    deadline = time.monotonic() + ARCHIVE_SECONDS
    while psql(layout, "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver").strip() < segment:
        if time.monotonic() > deadline:
            raise Unhealthy(f"{segment} was not archived within {ARCHIVE_SECONDS} s")
        time.sleep(0.2)


def _restore(layout: Layout, number: int, folder: Path, moment: str) -> None:
    options = ("--type=time", f"--target={moment}", "--target-action=promote", f"--pg1-path={folder}")
    run(backup_command(layout, number, "restore", *options))
    # The restored server must not archive, and must not wait for standbys.
    with (folder / "postgresql.auto.conf").open("a") as settings:
        settings.write("\narchive_mode = off\nsynchronous_standby_names = ''\n")
    (folder / "pg_hba.conf").write_text("local all postgres trust\n")
    (folder / "pg_ident.conf").touch()
    port = layout.port("restore")
    server = f"-p {port} -c listen_addresses='' -c unix_socket_directories={folder} -c hba_file={folder}/pg_hba.conf"
    command = (str(PROGRAMS / "pg_ctl"), "start", "-D", str(folder), "-w", "-t", str(RECOVERY_SECONDS))
    run((*command, "-l", str(folder / "restore.log"), "-o", server))
    deadline = time.monotonic() + RECOVERY_SECONDS
    while _ask(layout, folder, "SELECT pg_is_in_recovery()") != "f":
        if time.monotonic() > deadline:
            raise Unhealthy(f"not recovered within {RECOVERY_SECONDS} s: see {folder}/restore.log")
        time.sleep(0.2)


def _ask(layout: Layout, folder: Path, statement: str) -> str:
    port = str(layout.port("restore"))
    command = (str(PROGRAMS / "psql"), "-XqAt", "-h", str(folder), "-p", port, "-U", "postgres", "-c", statement)
    return run((*command, "laurels")).strip()


def _stop(folder: Path) -> None:
    if (folder / "postmaster.pid").exists():
        run((str(PROGRAMS / "pg_ctl"), "stop", "-D", str(folder), "-m", "immediate"))
