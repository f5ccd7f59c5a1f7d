"""Where Alertmanager sends what it tells: `receiver.py HOST PORT` prints one JSON line an alert, to be read or shipped.

A stand-in for a pager. It needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

LIMIT = 1_000_000
"""Bytes of one notification."""


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
            told = {"receiver": self.path.strip("/"), "status": alert["status"], **alert["labels"]}
            told["summary"] = alert["annotations"].get("summary", "")
            sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        self._reply(200)

    def _reply(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class named it
        """Only alerts are worth a line."""


if __name__ == "__main__":
    HTTPServer((sys.argv[1], int(sys.argv[2])), Receiver).serve_forever()
