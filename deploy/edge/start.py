"""Fill the templates from the environment of a container, then exec nginx.

NODES        node addresses, separated by commas (laurels-1:8000,laurels-2:8000)
SERVER_NAME  the names that it serves
RATE         requests per second and address, 200 by default
The certificate is server.pem and server.key in /certificates.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

SOURCE, TARGET = Path("/etc/edge"), Path("/run/edge")
_PLACE = re.compile(r"@([a-z_]+)@")


def values() -> dict[str, object]:
    rate = int(os.environ.get("RATE", "200"))
    nodes = os.environ["NODES"].split(",")
    return {
        "folder": TARGET,
        "conf": TARGET / "conf",
        "logs": "/var/log/edge",
        "certificates": "/certificates",
        "host": "0.0.0.0",  # noqa: S104  the container's own network
        "https_port": 8443,
        "http_port": 8080,
        "status_port": 8081,
        "server_name": os.environ["SERVER_NAME"],
        "servers": "\n".join(f"server {node} max_fails=1 fail_timeout=1s;" for node in nodes),
        "rate": rate,
        "burst": rate * 2,
        "connections": rate,
        "login_rate": max(1, rate // 40),
        "login_burst": max(1, rate // 40) * 4,
    }


def main() -> None:
    known = values()
    for file in SOURCE.glob("*.conf"):
        text = _PLACE.sub(lambda found: str(known[found[1]]), file.read_text())
        rules = file.name.startswith("modsecurity-")
        target = (
            TARGET / "modsecurity" / file.name.removeprefix("modsecurity-") if rules else TARGET / "conf" / file.name
        )
        target.write_text(text)
    nginx = ["nginx", "-c", str(TARGET / "conf" / "nginx.conf"), "-e", "stderr"]
    os.execv("/usr/sbin/nginx", nginx)  # noqa: S606  constants


if __name__ == "__main__":
    main()
