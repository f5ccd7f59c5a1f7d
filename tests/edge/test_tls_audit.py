"""testssl.sh looks at the edge as an auditor would."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.edge.conftest import ROOT, Edge

OWN_AUTHORITY = {
    "cert_chain_of_trust",
    "cert_caIssuers",
    "cert_crlDistributionPoints",
    "cert_ocspURL",
    "cert_revocation",
}
"""What a certificate of our own test authority can't have."""
OF_THIS_MACHINE = {"DNS_CAArecord", "scanTime", "scanProblem", "engine_problem", "sessionresumption_ticket"}
"""What the machine lacks (a name in the DNS), or the tool: it tries tickets with TLS 1.2, which is refused."""


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_an_audit_finds_nothing_but_the_test_authority(edge: Edge, tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "ensure-cluster"], check=True)
    findings = tmp_path / "findings.json"
    command = ["testssl", "--quiet", "--warnings", "batch", "--color", "0", "--ip", "127.0.0.1", "--severity", "LOW"]
    told = subprocess.run(
        [*command, "--jsonfile", findings, edge.layout.url], capture_output=True, text=True, timeout=400, check=False
    )
    assert findings.exists(), told.stdout[-2000:] + told.stderr[-2000:]
    found = {item["id"].split(" ")[0]: item for item in json.loads(findings.read_text())}
    left = {name: item["finding"] for name, item in found.items() if name not in OWN_AUTHORITY | OF_THIS_MACHINE}
    assert left == {}
