"""Files for programs that don't run here: their form, and that they agree with those that do."""

from __future__ import annotations

import json
import re
from typing import Any

from deploy.cluster.layout import DEPLOY
from deploy.logs.prepare import STREAM

LOGS = DEPLOY / "logs"


def test_the_data_stream_is_the_template_s() -> None:
    template = json.loads((LOGS / "index-template.json").read_text())
    pattern = template["index_patterns"][0].replace("*", ".*")
    assert re.fullmatch(pattern, STREAM)
    assert template["data_stream"] == {}
    assert STREAM in (LOGS / "filebeat.yml").read_text()
    fields = re.findall(r"data_stream_(\w+) => \"(\w+)\"", (LOGS / "logstash.conf").read_text())
    assert "-".join(value for _, value in fields) == STREAM


def test_the_life_cycle_deletes_only_after_it_rolls_over() -> None:
    phases = json.loads((LOGS / "lifecycle.json").read_text())["policy"]["phases"]
    assert "rollover" in phases["hot"]["actions"]
    assert "delete" in phases["delete"]["actions"]
    assert int(phases["delete"]["min_age"].removesuffix("d")) > int(phases["warm"]["min_age"].removesuffix("d"))


def test_saved_objects_refer_to_each_other_and_to_mapped_fields() -> None:
    objects = [json.loads(line) for line in (LOGS / "kibana.ndjson").read_text().splitlines()]
    known = {(item["type"], item["id"]) for item in objects}
    mapped = set(_paths(json.loads((LOGS / "mappings.json").read_text())["template"]["mappings"]["properties"]))
    for item in objects:
        assert {(to["type"], to["id"]) for to in item["references"]} <= known
        for column in item["attributes"].get("columns", []):
            assert column in mapped, column


def _paths(properties: dict[str, Any], above: str = "") -> list[str]:
    found = []
    for name, what in properties.items():
        if "properties" in what:
            found += _paths(what["properties"], f"{above}{name}.")
        else:
            found.append(above + name)
    return found
