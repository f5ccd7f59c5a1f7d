"""The public keys of one external issuer: fetched, bounded, cached, and looked up by key id.

Keys are read again when they are older than FRESH_SECONDS or when a token names an unknown one, at most once in
RETRY_SECONDS whatever tokens say. While an issuer can't be reached, its keys stay in use for STALE_SECONDS.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from ...domain.errors import Code, LaurelsError
from .issuers import ExternalIssuer
from .token_signature import PublicKey

log = structlog.get_logger(__name__)

FRESH_SECONDS = 900.0
STALE_SECONDS = 86_400.0
RETRY_SECONDS = 30.0
FETCH_SECONDS = 5.0
MAX_BYTES = 256 * 1024
MAX_KEYS = 100
MIN_RSA_BITS = 2_048

_KINDS: dict[str, tuple[type[RSAKey | ECKey | OKPKey], str, str | None]] = {
    "RS256": (RSAKey, "RSA", None),
    "ES256": (ECKey, "EC", "P-256"),
    "EdDSA": (OKPKey, "OKP", "Ed25519"),
}
"""Algorithm -> class, key type and curve of its keys."""


class KeySetUnreadable(Exception):
    """The key set can't be fetched, or is not a key set."""


class KeySource:
    """The keys of `issuer`; they are first read when a token of that issuer comes."""

    def __init__(self, issuer: ExternalIssuer) -> None:
        self._issuer = issuer
        self._keys: list[tuple[str | None, str, PublicKey]] = []
        self._read_at: float | None = None
        self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, key_id: str | None, algorithm: str) -> PublicKey | None:
        """Return the issuer's key for `algorithm` under `key_id`, or None.

        Without a `key_id` the issuer must have a single key for the algorithm. Raises LaurelsError(ISSUER_UNAVAILABLE).
        """
        if self._age() > FRESH_SECONDS:
            await self._read()
        found = self._pick(key_id, algorithm)
        if found is None:
            await self._read()
            found = self._pick(key_id, algorithm)
        if self._age() > STALE_SECONDS:
            raise LaurelsError(
                Code.ISSUER_UNAVAILABLE, "The keys of this token's issuer can't be read.", retry_after=RETRY_SECONDS
            )
        return found

    def _age(self) -> float:
        return float("inf") if self._read_at is None else time.monotonic() - self._read_at

    def _pick(self, key_id: str | None, algorithm: str) -> PublicKey | None:
        fitting = [key for name, kind, key in self._keys if kind == algorithm and (key_id is None or name == key_id)]
        return fitting[0] if len(fitting) == 1 else None

    async def _read(self) -> None:
        async with self._reading:
            if time.monotonic() - self._tried_at < RETRY_SECONDS:
                return
            self._tried_at = time.monotonic()
            try:
                self._keys = usable_keys(await self._document(), self._issuer.algorithms)
            except KeySetUnreadable as error:
                log.warning("can't read the keys of an issuer", issuer=self._issuer.issuer, reason=str(error))
            else:
                self._read_at = time.monotonic()

    async def _document(self) -> bytes:
        if self._issuer.jwks_url is not None:
            return await fetch(self._issuer.jwks_url)
        path = Path(self._issuer.jwks_file or "")
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise KeySetUnreadable(f"{path}: {error.strerror}") from error


async def fetch(url: str) -> bytes:
    """Return a document of at most MAX_BYTES, without following redirects. Raises KeySetUnreadable."""
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as reply,
        ):
            if reply.status != 200:
                raise KeySetUnreadable(f"{url} answered {reply.status}")
            document = await reply.content.read(MAX_BYTES + 1)
            while not reply.content.at_eof() and len(document) <= MAX_BYTES:
                document += await reply.content.read(MAX_BYTES + 1)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise KeySetUnreadable(f"{url}: {error or type(error).__name__}") from error
    if len(document) > MAX_BYTES:
        raise KeySetUnreadable(f"{url} sent more than {MAX_BYTES} bytes")
    return document


def usable_keys(document: bytes, algorithms: list[Any]) -> list[tuple[str | None, str, PublicKey]]:
    """Return key id, algorithm and key of each key that is public, strong and meant for one of `algorithms`.

    Other keys are left out: a set may hold keys for other purposes. Raises KeySetUnreadable.
    """
    try:
        keys = json.loads(document)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KeySetUnreadable("it is not a JSON Web Key Set") from error
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise KeySetUnreadable(f"a key set has a list of at most {MAX_KEYS} keys")
    found = []
    for entry in keys:
        for algorithm in algorithms:
            key = _usable(entry, algorithm)
            if key is not None:
                found.append((entry.get("kid"), algorithm, key))
    return found


def _usable(entry: Any, algorithm: str) -> PublicKey | None:
    kind, key_type, curve = _KINDS[algorithm]
    if not isinstance(entry, dict) or entry.get("kty") != key_type or entry.get("crv") != curve:
        return None
    names = {algorithm, "Ed25519"} if algorithm == "EdDSA" else {algorithm}
    if entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) not in names or "d" in entry:
        return None
    if "verify" not in entry.get("key_ops", ["verify"]) or not isinstance(entry.get("kid", ""), str):
        return None
    if key_type == "RSA" and _bits(entry.get("n")) < MIN_RSA_BITS:
        return None
    members = ("kty", "crv", "n", "e", "x", "y")
    try:
        return kind.import_key({name: entry[name] for name in members if name in entry})
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _bits(modulus: Any) -> int:
    """Return an upper bound of the bits of a base64url number, so that short ones are not even imported."""
    return len(modulus.rstrip("=")) * 6 if isinstance(modulus, str) else 0
