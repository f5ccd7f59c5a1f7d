"""Which routes a node serves: a node may have only one role (`--role`).

    all      everything
    api      requests, no live sockets: deploying it disconnects no screen
    live     live sockets and reads; it writes nothing
    worker   health checks and metrics only; it runs the chores beside requests

Requests for another role are refused with `misdirected` (421): the balancer in front sent them to the wrong node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ..domain.errors import Code, LaurelsError
from .http.responses import Answer
from .pipeline.call import Call, Handler
from .pipeline.route import Route


def routes_of(role: str, routes: Iterable[Route]) -> tuple[Route, ...]:
    """Return the routes of a node with this role; those of other roles refuse."""
    serves = _SERVES[role]
    return tuple(route if serves(route) else _refusing(route, _other_role(role)) for route in routes)


def without_metrics(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Return routes without metrics, for a public port or one that several processes share."""
    return tuple(_refusing(route, _ask_each) if route.path == "/metrics" else route for route in routes)


def health_only(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Return health checks and metrics without limits, for a port that only operators reach."""
    return tuple(replace(route, limit="none") for route in routes if _is_health(route))


def _is_health(route: Route) -> bool:
    return route.limit == "probe"


def _is_live(route: Route) -> bool:
    return route.tag == "Live" or 101 in route.replies


_SERVES: dict[str, Callable[[Route], bool]] = {
    "all": lambda route: True,
    "api": lambda route: not _is_live(route),
    "live": lambda route: route.method == "GET" or _is_live(route),
    "worker": _is_health,
}


def _refusing(route: Route, handler: Handler) -> Route:
    return replace(route, handler=handler, access="public", params=None, body=None, weight=1)


def _other_role(role: str) -> Handler:
    async def misdirected(_: Call) -> Answer:
        raise LaurelsError(Code.MISDIRECTED, f"This node has the role {role!r} and does not do this. Ask another one.")

    return misdirected


async def _ask_each(_: Call) -> Answer:
    raise LaurelsError(
        Code.MISDIRECTED, "Each process has its metrics on a port of its own: see LAURELS_METRICS_PORT, or its log."
    )
