"""Find the address that a request's limits count by: the peer's, or the one that trusted proxies forward.

Proxies append to X-Forwarded-For (`client, proxy1`) or to Forwarded (RFC 7239: `for=client;proto=https, for=proxy1`).
With n trusted proxies the n-th entry from the right was written by the outermost of them; the client can invent all to
its left. An entry may have a port, brackets or a zone, which do not make it another client. An entry that is not an
address (`unknown`, `_hidden`, garbage) counts as the peer's.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Literal, get_args

from multidict import MultiMapping

ForwardedHeader = Literal["either", "x-forwarded-for", "forwarded"]
"""Which header is read. either: X-Forwarded-For, or Forwarded where that is missing."""
HEADERS: tuple[str, ...] = get_args(ForwardedHeader)
MAX_ENTRY = 64
"""Characters of an entry that may be an address. Longer ones are not parsed, nor cached."""
MAX_ELEMENT = 1_024
"""Characters of one element of Forwarded."""

_NODE = re.compile(r"(?:\[(?P<bracketed>[^\]]*)\]|(?P<ipv4>[0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?")
"""A node of RFC 7239: an address with or without a port; IPv6 in brackets."""
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  a part of a grammar, not a secret
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PAIR = re.compile(rf"\s*(?:({_TOKEN})=({_TOKEN}|{_QUOTED}))?\s*(?:;|$)")
_ESCAPED = re.compile(r"\\(.)")


def client_address(
    headers: MultiMapping[str], peer: str | None, trusted_proxies: int, header: ForwardedHeader = "either"
) -> str:
    """Return the key of the client's allowance: one for each IPv4 address and for each /64 of IPv6."""
    if trusted_proxies:
        entry = _forwarded_entry(headers, trusted_proxies, header)
        address = _client_key(entry) if entry is not None and len(entry) <= MAX_ENTRY else None
        if address is not None:
            return address
    return _client_key(peer or "") or "unknown"


def _forwarded_entry(headers: MultiMapping[str], trusted_proxies: int, header: ForwardedHeader) -> str | None:
    if header != "forwarded":
        lines = headers.getall("X-Forwarded-For", None)
        if lines is not None:
            return _from_the_right(lines, trusted_proxies)
        if header == "x-forwarded-for":
            return None
    lines = headers.getall("Forwarded", None)
    return None if lines is None else forwarded_for(",".join(lines), trusted_proxies)


def _from_the_right(lines: list[str], number: int) -> str | None:
    """Return an entry of a list; None when it has fewer, because the request bypassed the proxies."""
    entries = ",".join(lines).rsplit(",", number)
    return entries[-number] if len(entries) >= number else None


def forwarded_for(value: str, number: int) -> str | None:
    """Return `for` of the element that is the `number`-th from the right; None without one.

    Read from the right, so that nothing a client writes (an unterminated quote) affects what proxies append.
    """
    element, end = "", len(value)
    for _ in range(number):
        if end < 0:
            return None
        begin = _element_begin(value, end)
        if begin is None:
            return None
        element, end = value[begin:end], begin - 1
    return _parameter(element, "for")


def _element_begin(value: str, end: int) -> int | None:
    """Return where the element that ends at `end` begins: after a comma followed by complete quoted strings only."""
    lowest = max(0, end - MAX_ELEMENT)
    comma = end
    while (comma := value.rfind(",", lowest, comma)) >= 0:
        if _quotes_are_balanced(value[comma + 1 : end]):
            return comma + 1
    return 0 if lowest == 0 and _quotes_are_balanced(value[:end]) else None


def _quotes_are_balanced(text: str) -> bool:
    return re.sub(r"\\.", "", text).count('"') % 2 == 0


def _parameter(element: str, wanted: str) -> str | None:
    found, at = None, 0
    while at < len(element):
        pair = _PAIR.match(element, at)
        if pair is None or (found is not None and (pair[1] or "").lower() == wanted):
            return None
        if (pair[1] or "").lower() == wanted:
            found = pair[2]
        at = pair.end()
    if found is not None and found.startswith('"'):
        return _ESCAPED.sub(r"\1", found[1:-1])
    return found


@lru_cache(10_000)
def _client_key(entry: str) -> str | None:
    """Return what one client holds: an IPv4 address, or the /64 in which an IPv6 host can choose its addresses."""
    text = entry.strip().strip('"')
    node = _NODE.fullmatch(text)
    if node is not None:
        text = node["bracketed"] or node["ipv4"] or ""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
