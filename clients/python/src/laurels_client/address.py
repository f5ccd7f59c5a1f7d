"""Check the address of a server before anything is sent: a mistyped one would be retried until the deadline."""

from __future__ import annotations

from urllib.parse import urlsplit


def checked_url(url: str) -> str:
    """Return the address without slashes at its end. Raises ValueError unless it is an http(s) one with a host."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError as error:  # invalid brackets or port
        raise ValueError(f"{url!r} is not an address: {error}") from error
    if not is_usable:
        raise ValueError(f"{url!r} is not an address of a server, which begins with http:// or https:// and has a host")
    return url.rstrip("/")
