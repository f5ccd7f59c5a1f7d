"""Paths, methods and parameters that do not exist are refused as strictly as bodies: a problem, never a 5xx."""

from __future__ import annotations

from tests.support.raw_http import exchange, request
from tests.web.attacker import BATCH, COMPLETE, Attacker, assert_problem


async def test_paths_and_methods_that_do_not_exist_are_problems_too(attacker: Attacker) -> None:
    """404 with a hint; 405 with Allow, whatever the method is called."""
    for target in (
        "/nothing",
        "/api",
        "/api/actions/complete/",
        "/api/boards/",
        "//",
        "/static/",
        "/static/..%2Fedge.py",
    ):
        assert_problem(await attacker.get(target), 404, "not_found", of=target)
    wrong = [("GET", COMPLETE, "POST"), ("POST", "/api/scoreboard", "GET, HEAD"), ("DELETE", "/", "GET, HEAD")]
    wrong += [
        ("OPTIONS", "/api/me", "DELETE, GET, HEAD"),
        ("PATCH", "/api/boards", "GET, HEAD"),
        ("PUT", "/api/live", "GET"),
    ]
    for method, target, allow in wrong:
        reply = await exchange(attacker.node.url, request(method, target))
        assert_problem(reply, 405, "method_not_allowed", of=method)
        assert reply.headers["allow"] == allow


async def test_head_writes_nothing(attacker: Attacker) -> None:
    """HEAD is GET without a body, and no way around POST."""
    for target in (COMPLETE, BATCH, "/api/live", "/api/auth/register"):
        reply = await exchange(attacker.node.url, request("HEAD", target), bodiless=True)
        assert reply.status == 405, target


async def test_parameters_are_as_strict_as_bodies(attacker: Attacker) -> None:
    """422 with the parameter's path: out of range, no number, unknown, given twice."""
    bad = {
        "/api/scoreboard?limit=0": "$.limit",
        "/api/scoreboard?limit=101": "$.limit",
        "/api/scoreboard?limit=-1": "$.limit",
        "/api/scoreboard?limit=abc": "$.limit",
        "/api/scoreboard?limit=": "$.limit",
        "/api/scoreboard?limit=%EF%BC%91": "$.limit",
        "/api/scoreboard?limit=99999999999999999999999999": "$.limit",
        "/api/scoreboard?limit=" + "9" * 5000: "$.limit",
        "/api/scoreboard?limt=10": "$",
        "/api/scoreboard?limit=10&limit=20": "$.limit",
        "/api/boards/points?slug=points-weekly": "$.slug",
        "/api/boards/points/around/ada?radius=51": "$.radius",
        "/api/boards/Points": "$.slug",
        "/api/boards/points%0A": "$.slug",
        "/api/boards/" + "a" * 64: "$.slug",
        "/api/boards/points/rank/" + "a" * 65: "$.username",
        "/api/me?recent=101": "$.recent",
        "/api/receipts/" + "a" * 129: "$.action_identifier",
        "/api/receipts/a%00": "$.action_identifier",
    }
    for target, path in bad.items():
        assert_problem(await attacker.get(target), 422, "invalid_request", path, of=target)


async def test_odd_paths_are_answered_like_any_other(attacker: Attacker) -> None:
    """Percent-encoded NUL, slash, invalid UTF-8, braces, dots: a 4xx problem, never a 5xx."""
    odd = [
        "%00",
        "%2F",
        "%FF%FE",
        "%ed%a0%80",
        "%7Bname%7D",
        "%2E%2E",
        "%2E",
        "..",
        "%",
        "%zz",
        "%25%30%30",
        ";",
        "+",
        "%3F",
    ]
    for part in odd:
        for prefix in ("/api/boards/", "/api/boards/points/rank/", "/api/receipts/", "/static/", "/"):
            reply = await attacker.get(prefix + part)
            assert 200 <= reply.status < 500, (prefix + part, reply)
            if reply.status >= 400:
                assert_problem(reply, reply.status, reply.json()["code"], reply.json().get("path"), of=prefix + part)


async def test_names_with_braces_and_slashes_are_found_by_their_path(attacker: Attacker) -> None:
    """A parameter in a path is whatever stands between two slashes, decoded once."""
    for name, segment in {
        "{{7*7}}": "%7B%7B7*7%7D%7D",
        "AC/DC": "AC%2FDC",
        "100%41": "100%2541",
        "Who?": "Who%3F",
    }.items():
        await attacker.node.register(name)
        reply = await attacker.get(f"/api/users/{segment}")
        assert (reply.status, reply.json()["username"]) == (200, name)
