"""Receive alerts from Alertmanager in place of a pager: `receiver.py HOST PORT` prints one JSON line per alert.

It needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

LIMIT = 1_000_000
"""The largest notification, in bytes."""


class Receiver(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        self._reply(200)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > LIMIT:
            self._reply(413)
            return
        for alert in json.loads(self.rfile.read(length)).get("alerts", []):
            line = {"receiver": self.path.strip("/"), "status": alert["status"], **alert["labels"]}
            line["summary"] = alert["annotations"].get("summary", "")
            sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        self._reply(200)

    def _reply(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class named it
        """Log no requests: only alerts are printed."""


if __name__ == "__main__":
    HTTPServer((sys.argv[1], int(sys.argv[2])), Receiver).serve_forever()
