"""docs/admin.md: what it tells operators to type can be typed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import msgspec

from laurels.cli import app
from laurels.web.api.routes import ROUTES

TEXT = (Path(__file__).parents[3] / "docs" / "admin.md").read_text()


def test_every_request_in_the_text_has_its_route_and_fits_its_schema() -> None:
    """Method, path, and the body down to its last member."""
    calls = re.findall(r"^api (GET|POST|PUT|PATCH) +(.+)$", TEXT, re.MULTILINE)
    assert len(calls) >= 10
    for method, rest in calls:
        target, *body = shlex.split(rest)
        path = target.partition("?")[0]
        (route,) = [
            route
            for route in ROUTES
            if route.method == method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", route.path), path)
        ]
        assert (route.body is None) == (not body), rest
        if route.body is not None:
            msgspec.convert(json.loads(body[0]), route.body)


def test_every_command_in_the_text_exists() -> None:
    """With the options that it is shown with."""
    commands = re.findall(r"^laurels ([^#\n]+)", TEXT, re.MULTILINE)
    assert len(commands) >= 10
    for command in commands:
        app.parse_args(shlex.split(command), exit_on_error=False, print_error=False)
