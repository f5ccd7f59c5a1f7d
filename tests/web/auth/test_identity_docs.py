"""The commands of docs/identity.md do what it says."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from playwright._impl._driver import compute_driver_executable
from tests.support.keys import key_on
from tests.support.node import InProcessNode
from tests.support.programs import output

from laurels.domain.errors import Code

TEXT = (Path(__file__).parents[3] / "docs" / "identity.md").read_text()


def example(name: str) -> str:
    found = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None, name
    return found[1]


async def test_the_examples_of_signed_bodies_and_keys_complete_actions(node: InProcessNode, tmp_path: Path) -> None:
    """Python, JavaScript and curl, each with an action of its own."""
    await node.register("ada")
    key_id, key, secret = await key_on(node)
    environment = {
        "LAURELS_URL": node.url,
        "LAURELS_KEY_ID": str(key_id),
        "LAURELS_API_KEY": key,
        "LAURELS_SIGNING_SECRET": secret,
    }
    for name in ("sign.py", "sign.mjs"):
        (tmp_path / name).write_text(example(name))
    javascript = str(compute_driver_executable()[0])  # Playwright brings one
    curl = next(block for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) if "curl" in block)
    said = [
        await output("sh", "-c", curl, environment=environment),
        await output(sys.executable, str(tmp_path / "sign.py"), environment=environment),
        await output(javascript, str(tmp_path / "sign.mjs"), environment=environment),
    ]
    assert json.loads(said[0])["new_score"] == 10
    assert "'new_score': 20" in said[1]
    assert json.loads(said[2])["new_score"] == 30


def test_every_code_in_the_text_exists() -> None:
    """A refusal that is documented and was renamed would send people looking."""
    codes = {code.value for code in Code}
    named = set(re.findall(r"`((?:ticket|signature|api_key|issuer|server|rate|user)_\w+)`", TEXT))
    assert named - codes == set()
    assert {code for code in codes if code.startswith(("ticket_", "signature_"))} <= named
