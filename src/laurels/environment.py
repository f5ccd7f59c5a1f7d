"""Recognise environment variables that are named like settings but are not.

Kubernetes describes each service of a namespace to every pod, and Docker each linked container, in variables that begin
with the service's name. For a service called `laurels` they begin like settings; LAURELS_PORT even is the name of one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

CLIENT_NAMES = frozenset(
    {"LAURELS_URL", "LAURELS_API_KEY", "LAURELS_KEY", "LAURELS_KEY_ID", "LAURELS_SIGNING_SECRET", "LAURELS_TOKEN"}
)
"""Variables that clients read by our docs and examples: an .env file may hold a client's and a server's."""

_URL = r"(?:tcp|udp|sctp)://\S+"
_LINKS = tuple(
    (re.compile(f"LAURELS(?:_[A-Z0-9_]+)?{name}"), re.compile(value, re.DOTALL))
    for name, value in (
        (r"_SERVICE_HOST", r".*"),
        (r"_SERVICE_PORT(?:_[A-Z0-9_]+)?", r"\d+"),
        (r"_PORT", _URL),
        (r"_PORT_\d+_(?:TCP|UDP|SCTP)", _URL),
        (r"_PORT_\d+_(?:TCP|UDP|SCTP)_PROTO", r"tcp|udp|sctp"),
        (r"_PORT_\d+_(?:TCP|UDP|SCTP)_PORT", r"\d+"),
        (r"_PORT_\d+_(?:TCP|UDP|SCTP)_ADDR", r".*"),
        (r"_NAME", r"/.+"),
        (r"_ENV_[A-Za-z0-9_]+", r".*"),
    )
)
"""Patterns of (name, value) of the variables that Kubernetes and Docker links set."""


def is_service_link(name: str, value: str) -> bool:
    """Return whether a variable describes a service to a container, by the shapes of name and value."""
    return any(names.fullmatch(name) and values.fullmatch(value) for names, values in _LINKS)


def without_service_links(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables of Kubernetes and Docker links."""
    return {name: value for name, value in environment.items() if not is_service_link(name, value)}
