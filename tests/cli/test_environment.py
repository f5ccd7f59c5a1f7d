"""The environment of containers: what neighbours and clients set there under names that look like settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.ports import free_port

from laurels.config import ConfigError, Settings, load, unused

from .commands import laurels, serving

ROOT = Path(__file__).parents[2]

KUBERNETES = {
    "LAURELS_SERVICE_HOST": "10.0.0.1",
    "LAURELS_SERVICE_PORT": "80",
    "LAURELS_SERVICE_PORT_HTTP": "80",
    "LAURELS_PORT": "tcp://10.0.0.1:80",
    "LAURELS_PORT_80_TCP": "tcp://10.0.0.1:80",
    "LAURELS_PORT_80_TCP_PROTO": "tcp",
    "LAURELS_PORT_80_TCP_PORT": "80",
    "LAURELS_PORT_80_TCP_ADDR": "10.0.0.1",
    "LAURELS_EDGE_SERVICE_HOST": "10.0.0.2",
    "LAURELS_EDGE_SERVICE_PORT": "443",
    "LAURELS_EDGE_SERVICE_PORT_HTTPS": "443",
    "LAURELS_EDGE_SERVICE_PORT_HTTP_METRICS": "9113",
    "LAURELS_EDGE_PORT": "tcp://10.0.0.2:443",
    "LAURELS_EDGE_PORT_443_TCP_ADDR": "10.0.0.2",
    "LAURELS_METRICS_PORT": "tcp://[fd00::3]:9000",
    "LAURELS_METRICS_SERVICE_HOST": "fd00::3",
    "LAURELS_STATSD_PORT_8125_UDP": "udp://10.0.0.4:8125",
    "LAURELS_STATSD_PORT_8125_UDP_PROTO": "udp",
    "KUBERNETES_PORT": "tcp://10.0.0.1:443",
    "DATABASE_PORT": "tcp://10.0.0.5:5432",
    "REDIS_PORT": "tcp://10.0.0.6:6379",
}
DOCKER = {
    "LAURELS_DB_NAME": "/web/laurels_db",
    "LAURELS_DB_PORT_5432_TCP": "tcp://172.17.0.5:5432",
    "LAURELS_DB_ENV_POSTGRES_PASSWORD": "hunter2",
}
CLIENT = {
    "LAURELS_URL": "https://board.example",
    "LAURELS_API_KEY": "lk_1_secret",
    "LAURELS_KEY": "lk_1_secret",
    "LAURELS_KEY_ID": "1",
    "LAURELS_SIGNING_SECRET": "secret",
}
LIBPQ = {
    "PGHOST": "nowhere.invalid",
    "PGPORT": "1",
    "PGUSER": "stranger",
    "PGDATABASE": "nothing",
    "PGSSLMODE": "verify-full",
    "PGTARGETSESSIONATTRS": "standby",
}
"""Set for psql in many images; the embedded server is none of their business."""


def test_a_node_starts_among_the_services_of_a_cluster(data: Path) -> None:
    """It says once for each of its settings that a service has the name of, and takes the default."""
    data.with_suffix(".port").write_text(str(free_port()))
    environment = {**KUBERNETES, **DOCKER, **CLIENT, **LIBPQ, "LAURELS_PORT_FILE": str(data.with_suffix(".port"))}
    with serving(data, **environment) as served:
        for name in ("LAURELS_PORT", "LAURELS_METRICS_PORT"):
            assert served.log.count(f"{name}={KUBERNETES[name]} describes a service") == 1
        assert "hunter2" not in served.log
        assert served.stop() == 0


@pytest.mark.parametrize("environment", [KUBERNETES, DOCKER, CLIENT])
def test_what_others_set_is_no_setting(environment: dict[str, str]) -> None:
    """Neither taken nor refused."""
    assert load(environment) == Settings()
    assert load({**environment, "LAURELS_HOST": "0.0.0.0"}).host == "0.0.0.0"  # noqa: S104  not bound


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LAURELS_PROT", "tcp://10.0.0.1:80"),
        ("LAURELS_PORT", "http://10.0.0.1:80"),
        ("LAURELS_PORT", "80/tcp"),
        ("LAURELS_METRIC_PORT", "9000"),
        ("LAURELS_SERVICE_PORT", "eighty"),
        ("LAURELS_PORT_80", "tcp://10.0.0.1:80"),
        ("LAURELS_APP_NAME", "laurels"),
        ("LAURELS_URLS", "https://board.example"),
        ("LAURELS_LANES", "tcp://10.0.0.1:80"),
    ],
)
def test_a_typo_is_refused_all_the_same(name: str, value: str) -> None:
    """Name and value must both have the shape of what an engine makes."""
    with pytest.raises(ConfigError, match=name):
        load({name: value})


def test_only_settings_are_worth_a_line() -> None:
    """A pod of a large namespace has hundreds of the others."""
    assert [line.split("=")[0] for line in unused(KUBERNETES)] == ["LAURELS_METRICS_PORT", "LAURELS_PORT"]
    assert unused({**CLIENT, "LAURELS_PORT": "9000"}) == []


def test_a_command_says_so_too(data: Path) -> None:
    """On standard error: its output is for machines."""
    done = laurels("config", "--json", LAURELS_DATA=data, **KUBERNETES)
    assert done.returncode == 0
    assert '"LAURELS_PORT"' in done.stdout


def test_every_name_in_our_docs_is_known() -> None:
    """An .env file put together from the docs must not keep a node from starting."""
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "clients").rglob("*")]
    text = "\n".join(path.read_text() for path in texts if path.suffix in (".md", ".py", ".js", ".ts"))
    names = set(re.findall(r"\bLAURELS_[A-Z][A-Z_]*[A-Z]\b", text)) - {"LAURELS_PROT"}
    assert names >= {"LAURELS_PORT", "LAURELS_URL"}
    values = {
        "LAURELS_ROLE": "api",
        "LAURELS_ENCRYPTION_KEY": "s" * 32,
        "LAURELS_ORIGINS": "*",
        "LAURELS_ISSUERS": "[]",
    }
    for name in names:
        if name.endswith("_FILE"):
            continue
        try:
            load({name: values.get(name, "")})
        except ConfigError as error:
            assert "unknown setting" not in str(error)  # noqa: PT017  refused for its value, not for its name


def test_a_misspelt_setting_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"LAURELS_PROT.*Did you mean LAURELS_PORT"):
        load({"LAURELS_PROT": "9000"})
    with pytest.raises(ConfigError, match=r"LAURELS_ZZZZ.*`laurels config` lists") as refusal:
        load({"LAURELS_ZZZZZZZZZZZZ": "1"})
    assert "Did you mean" not in str(refusal.value)
