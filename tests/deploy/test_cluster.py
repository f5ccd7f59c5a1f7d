"""`make cluster`: every part starts, tells its health, and is gone when it is to be gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import psutil
import pytest
from deploy.cluster import processes
from deploy.cluster.drill import drill
from deploy.cluster.part import Part, fetch
from deploy.cluster.parts.database import psql
from deploy.cluster.shape import parts
from deploy.cluster.supervisor import Failed, Supervisor
from tests.support.edge import EdgeClient

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def cluster_parts(cluster: Supervisor) -> Sequence[Part]:
    return parts(cluster.layout)


def test_every_part_is_healthy_and_serves_through_the_edge(cluster: Supervisor) -> None:
    """Kept up: the whole shape starts, and a request goes through edge, node and database."""
    seen = {one.name: one for one in cluster.check_all()}
    assert [one for one in seen.values() if not one.healthy] == []
    assert all(one.memory > 0 for one in seen.values())
    assert sorted(seen[f"postgres-{n}"].state for n in (1, 2, 3)) == ["primary", "standby", "synchronous standby"]
    status, body = fetch(
        f"localhost:{cluster.layout.port('https')}", "/api/scoreboard", authority=cluster.layout.authority
    )
    assert status == 200
    assert json.loads(body)["rows"] == []


def test_nothing_listens_beyond_loopback(cluster: Supervisor) -> None:
    for part in cluster_parts(cluster):
        for process in cluster.family(part):
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip.removeprefix("::ffff:") == "127.0.0.1", part.name


def test_no_part_that_serves_runs_as_root(cluster: Supervisor) -> None:
    for part in cluster_parts(cluster):
        assert {process.uids().effective for process in cluster.family(part)} & {0} == set(), part.name


def test_no_password_shows_in_a_process_list(cluster: Supervisor) -> None:
    secrets = [file.read_text() for file in (cluster.layout.folder / "secrets").iterdir()]
    told = "".join(" ".join(process.cmdline()) for part in cluster_parts(cluster) for process in cluster.family(part))
    assert not [secret for secret in secrets if secret in told]


def test_a_killed_part_is_said_to_be_gone_and_starts_again(cluster: Supervisor) -> None:
    part = cluster.part("node-2")
    cluster.kill(part)
    seen = cluster.check(part)
    assert (seen.healthy, seen.state) == (False, "not running")
    cluster.launch(part)
    cluster.wait_for([part])


def test_the_nodes_cannot_change_what_was_awarded(cluster: Supervisor) -> None:
    """Durable: the service's role may add to the ledger, not rewrite it, nor alter its schema."""
    refused = {"actions": ("UPDATE", "DELETE", "TRUNCATE"), "audit": ("UPDATE", "DELETE", "TRUNCATE")}
    for table, right in ((table, right) for table, rights in refused.items() for right in rights):
        assert psql(cluster.layout, f"SELECT has_table_privilege('laurels', '{table}', '{right}')", "laurels") == "f\n"
    for column in ("score_earned", "user_id", "action_type_id", "completed_at"):
        asked = f"SELECT has_column_privilege('laurels', 'actions', '{column}', 'UPDATE')"
        assert psql(cluster.layout, asked, "laurels") == "f\n"
    assert psql(cluster.layout, "SELECT has_schema_privilege('laurels', 'public', 'CREATE')", "laurels") == "f\n"
    assert psql(cluster.layout, "SELECT has_table_privilege('laurels', 'actions', 'INSERT')", "laurels") == "t\n"
    assert psql(cluster.layout, "SELECT has_table_privilege('laurels_watch', 'users', 'SELECT')", "laurels") == "f\n"


def test_status_is_json_for_machines(cluster: Supervisor) -> None:
    record = {"first_port": cluster.layout.first_port, "rate": cluster.layout.rate, "settings": cluster.layout.settings}
    (cluster.layout.folder / "run" / "layout.json").write_text(json.dumps(record))
    command = [sys.executable, "-m", "deploy.cluster", "status", "--json", "--folder", str(cluster.layout.folder)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert {part["name"] for part in told} == {part.name for part in cluster_parts(cluster)}


def test_an_unknown_part_is_refused_in_one_line(cluster: Supervisor) -> None:
    with pytest.raises(Failed, match="there is no part 'node-9'"):
        cluster.part("node-9")


def test_a_process_id_given_to_a_stranger_is_not_taken_for_the_part(tmp_path) -> None:
    """Stopping never ends what it did not start."""
    (tmp_path / "part.pid").write_text(f"{os.getpid()} 1.0")
    assert processes.leader(tmp_path / "part.pid") is None
    assert processes.family(tmp_path / "part.pid") == []


def test_a_backup_restores_to_the_ledger_it_was_taken_of(cluster: Supervisor) -> None:
    """Durable: every acknowledged action is in the restored ledger, nothing that came after the chosen moment."""
    client = EdgeClient(cluster.layout)
    token = client.register("backed-up")
    for number in range(20):
        assert client.complete(token, f"backup-{number}").status == 201
    outcome = drill(cluster.layout, lambda words: None)
    assert outcome.same, outcome
    assert int(outcome.noted.split()[0]) >= 20
    assert not (cluster.layout.folder / "restore").exists()
