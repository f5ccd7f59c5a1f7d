"""Install template and lifecycle policy in a search engine, before the first document: `prepare.py http://127.0.0.1:9200`.

Only Elasticsearch gets the lifecycle policy. OpenSearch has no ILM: its index state management plugin has its own
policies, and the operator must delete old indices.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
STREAM = "logs-laurels-default"
SECONDS = 30


def prepare(url: str) -> None:
    """Install both; idempotent. Raises OSError when the engine refuses or does not answer."""
    is_opensearch = _ask(url, "GET", "/")["version"].get("distribution") == "opensearch"
    mappings = json.loads((FOLDER / "mappings.json").read_text())
    if not is_opensearch:
        _ask(url, "PUT", "/_ilm/policy/laurels", json.loads((FOLDER / "lifecycle.json").read_text()))
        mappings["template"]["settings"]["index.lifecycle.name"] = "laurels"
    _ask(url, "PUT", "/_component_template/laurels-mappings", mappings)
    _ask(url, "PUT", "/_index_template/laurels", json.loads((FOLDER / "index-template.json").read_text()))


def _ask(url: str, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310  the operator's own address
    with urllib.request.urlopen(request, timeout=SECONDS) as reply:  # noqa: S310
        return json.load(reply)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    prepare(sys.argv[1])
