"""PostgreSQL under Patroni: a primary, a synchronous standby and a third server, coordinated by three etcd members."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import psutil

from ..layout import DATABASES, DEPLOY, ETCD, Layout, account, patroni, write_private
from ..part import Part, Step, Unhealthy, answers, fetch
from ..render import render

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
STANDBY_SECONDS = 60.0
STATEMENT_SECONDS = 60
STEP_SECONDS = 600


def etcd(layout: Layout) -> list[Part]:
    return [_etcd(layout, number) for number in ETCD]


def _etcd(layout: Layout, number: int) -> Part:
    client, peer = f"http://{layout.address('etcd', number)}", f"http://{layout.address('etcd-peer', number)}"
    members = ",".join(f"etcd-{n}=http://{layout.address('etcd-peer', n)}" for n in ETCD)
    user = account("etcd")
    return Part(
        name=f"etcd-{number}",
        layer="database",
        address=layout.address("etcd", number),
        command=(
            "/usr/bin/etcd",
            f"--name=etcd-{number}",
            f"--data-dir={layout.folder / f'etcd-{number}'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={members}",
            "--initial-cluster-state=new",
            "--auto-compaction-mode=periodic",
            "--auto-compaction-retention=1h",
            "--log-level=warn",
        ),
        user=user,
        machine=layout.machine("etcd", number),
        check=lambda: _etcd_state(layout.address("etcd", number)),
        prepare=lambda: layout.place(f"etcd-{number}", user=user).chmod(0o700),
    )


def _etcd_state(address: str) -> str:
    status, body = fetch(address, "/health")
    if status != 200 or json.loads(body).get("health") != "true":
        raise Unhealthy(f"/health answers {status}: {body[:80].decode(errors='replace')}")
    return "ready"


def install(layout: Layout) -> Step:
    """Return the step that installs Patroni 4 from PyPI.

    With Debian's 3.0 a primary that was frozen takes the leader's key back by a plain write, whichever server holds it
    by then, and what the new primary acknowledged meanwhile is rewound.
    """
    environment = patroni(layout).parent
    locked = DEPLOY.parent / "requirements" / "patroni.txt"

    def work() -> None:
        run_once("/usr/bin/python3", "-m", "venv", str(environment))
        pip = (str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run_once(*pip, "--require-hashes", "-r", str(locked))

    return Step("install Patroni", work)


def run_once(*command: str) -> None:
    """Run a command as the current user. Raises Unhealthy with its last output."""
    finished = subprocess.run(command, capture_output=True, text=True, timeout=STEP_SECONDS, check=False)
    if finished.returncode:
        raise Unhealthy(f"{' '.join(command[:4])} … failed: {finished.stderr.strip()[-300:]}")


def postgres(layout: Layout, number: int) -> Part:
    folder = layout.folder / f"postgres-{number}"
    return Part(
        name=f"postgres-{number}",
        layer="database",
        address=layout.address("postgres", number),
        # Its server is orphaned: the adopting process must notice its end at once, or a switchover waits for that.
        command=("/usr/bin/tini", "-s", "--", str(patroni(layout) / "patroni"), str(folder / "patroni.yml")),
        user=account("postgres"),
        machine=layout.machine("postgres", number),
        check=lambda: _role(layout, number),
        prepare=lambda: _prepare(layout, number),
        strays=lambda: _postmaster(folder / "data"),
        start_seconds=120,
        stop_seconds=30,
    )


def _prepare(layout: Layout, number: int) -> None:
    user = account("postgres")
    folder = layout.place(f"postgres-{number}", user=user)
    folder.chmod(0o700)
    repository = layout.place("backups", user=user)
    for name in ("backup-log", "backup-lock", "backup-spool"):
        layout.place(folder.name, name, user=user)
    values = {
        "folder": folder,
        "network": layout.network,
        "number": number,
        "port": layout.port("postgres", number),
        "patroni": layout.address("patroni", number),
        "postgres": layout.address("postgres", number),
        "etcd": ", ".join(f'"{layout.address("etcd", n)}"' for n in ETCD),
        "programs": PROGRAMS,
        "repository": repository,
        "superuser_password": layout.secret("postgres-superuser"),
        "replication_password": layout.secret("postgres-replicator"),
        "rewind_password": layout.secret("postgres-rewinder"),
        "restapi_password": layout.secret("patroni-restapi"),
        "cipher_password": layout.secret("backup-cipher"),
    }
    for name in ("patroni.yml", "pgbackrest.conf"):
        render(f"postgres/{name}", folder / name, values, user, private=True)
    render("postgres/before-stop", folder / "before-stop", values, user).chmod(0o755)


def _role(layout: Layout, number: int) -> str:
    """Return primary, synchronous standby or standby. Raises Unhealthy in any other state."""
    _, body = fetch(layout.address("patroni", number), "/patroni")
    state = json.loads(body)
    if state.get("state") not in ("running", "streaming"):
        raise Unhealthy(str(state.get("state")))
    if state["role"] in ("master", "primary"):
        return "primary"
    if state.get("replication_state", "streaming") != "streaming":
        raise Unhealthy(f"standby, {state['replication_state']}")
    return "synchronous standby" if state.get("sync_standby") else "standby"


def _postmaster(data: Path) -> list[int]:
    """Return the process id of the server, which outlives Patroni and whose children have their own sessions."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        return [pid] if process.name() == "postgres" and Path(process.cwd()) == data else []
    except (OSError, ValueError, psutil.Error):
        return []


def primary(layout: Layout) -> int:
    """Return the number of the node that accepts writes. Raises Unhealthy if there is none."""
    for number in DATABASES:
        try:
            if fetch(layout.address("patroni", number), "/primary")[0] == 200:
                return number
        except Unhealthy:
            continue
    raise Unhealthy("no database node reports that it is the primary")


def url(layout: Layout, role: str, secret: str) -> str:
    """Return an address that leads to the current primary."""
    hosts = ",".join(layout.address("postgres", number) for number in DATABASES)
    return f"postgresql://{role}:{layout.secret(secret)}@{hosts}/laurels?target_session_attrs=read-write"


def replica_urls(layout: Layout) -> list[str]:
    password = layout.secret("postgres-service")
    return [f"postgresql://laurels:{password}@{layout.address('postgres', n)}/laurels" for n in DATABASES]


def steps(layout: Layout) -> list[Step]:
    return [
        Step("wait for the synchronous standby", lambda: _wait_for_standby(layout)),
        Step("database roles", lambda: _run_sql(layout, "roles.sql")),
        Step("where backups go", lambda: _make_stanza(layout)),
    ]


def grants(layout: Layout) -> Step:
    return Step("restrict the rights of the nodes", lambda: _run_sql(layout, "grants.sql"))


def _wait_for_standby(layout: Layout) -> None:
    """Wait for a synchronous standby: without one a primary alone could acknowledge the first writes."""
    deadline = time.monotonic() + STANDBY_SECONDS
    while time.monotonic() < deadline:
        for number in DATABASES:
            try:
                if fetch(layout.address("patroni", number), "/sync")[0] == 200:
                    return
            except Unhealthy:
                continue
        time.sleep(0.2)
    raise Unhealthy("no standby became synchronous")


def _run_sql(layout: Layout, name: str) -> None:
    """Run a file of deploy/postgres. Passwords go through standard input: arguments and environments are readable."""
    passwords = {"owner": "postgres-owner", "service": "postgres-service", "watch": "postgres-watch"}
    variables = "".join(f"\\set {who}_password '{layout.secret(secret)}'\n" for who, secret in passwords.items())
    psql(layout, variables + (DEPLOY / "postgres" / name).read_text())


def psql(layout: Layout, script: str, database: str = "postgres") -> str:
    """Run a script on the primary as superuser; return its output. Raises Unhealthy with the server's first error."""
    passwords = layout.place("secrets") / "pgpass"
    write_private(passwords, f"*:*:*:postgres:{layout.secret('postgres-superuser')}\n")
    host, _, port = layout.address("postgres", primary(layout)).rpartition(":")
    finished = subprocess.run(
        (PROGRAMS / "psql", "-XqAt", "--set=ON_ERROR_STOP=1", "-h", host, "-p", port, "-U", "postgres", database),
        input=script,
        capture_output=True,
        text=True,
        timeout=STATEMENT_SECONDS,
        env={"PGPASSFILE": str(passwords), "LC_ALL": "C.UTF-8"},
        check=False,
    )
    if finished.returncode:
        raise Unhealthy(finished.stderr.strip().splitlines()[0] if finished.stderr.strip() else "psql failed")
    return finished.stdout


def backup_command(layout: Layout, number: int, *words: str) -> tuple[str, ...]:
    """Return the pgBackRest command line for one database node."""
    config = layout.folder / f"postgres-{number}" / "pgbackrest.conf"
    return ("/usr/bin/pgbackrest", f"--config={config}", "--stanza=laurels", *words)


def _make_stanza(layout: Layout) -> None:
    """Create the repository of the WAL archive; the primary keeps WAL until it exists."""
    run(backup_command(layout, primary(layout), "stanza-create"))


def run(command: tuple[str, ...]) -> str:
    """Run a command as the database's user and return its output. Raises Unhealthy with its last output."""
    user = account("postgres")
    finished = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=STEP_SECONDS,
        cwd="/",
        user=user,
        group=user,
        extra_groups=[] if user else None,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    if finished.returncode:
        words = (finished.stderr or finished.stdout).strip().splitlines()
        raise Unhealthy(f"{Path(command[0]).name}: {words[-1] if words else 'failed'}")
    return finished.stdout


def exporters(layout: Layout) -> list[Part]:
    return [_exporter(layout, number) for number in DATABASES]


def _exporter(layout: Layout, number: int) -> Part:
    address = layout.address("postgres-exporter", number)
    password = layout.place("secrets") / f"watch-{number}"
    return Part(
        name=f"postgres-exporter-{number}",
        layer="watching",
        address=address,
        command=("/usr/bin/prometheus-postgres-exporter", f"--web.listen-address={address}", "--log.level=warn"),
        user=account("prometheus"),
        environment={
            "DATA_SOURCE_URI": f"{layout.address('postgres', number)}/postgres?sslmode=disable",
            "DATA_SOURCE_USER": "laurels_watch",
            "DATA_SOURCE_PASS_FILE": str(layout.folder / "watching" / password.name),
        },
        prepare=lambda: write_private(
            layout.place("watching", user=account("prometheus")) / password.name,
            layout.secret("postgres-watch"),
            account("prometheus"),
        ),
        check=answers(address, "/metrics", "scraped"),
    )
