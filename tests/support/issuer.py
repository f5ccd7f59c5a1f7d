"""An outside issuer: keys, a place that publishes them, and tokens that are right, or wrong in one respect."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from aiohttp import web
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from laurels.config import Settings

Sign = Callable[[bytes], bytes]
AUDIENCE = "laurels-app"
NAME = "https://id.example/"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """`keys` by kid; `url` serves their public halves, `asked` counts how often. `reply` may be put in its place."""

    def __init__(self, name: str = NAME) -> None:
        self.name = name
        self.keys: dict[str, Any] = {
            "rsa": RSAKey.generate_key(2048),
            "ec": ECKey.generate_key("P-256"),
            "ed": OKPKey.generate_key("Ed25519"),
        }
        self.url = ""
        self.asked = 0
        self.reply: Callable[[], web.StreamResponse] = self._jwks

    def settings(self, **changes: Any) -> dict[str, Any]:
        """This issuer's entry of LAURELS_ISSUERS."""
        known = {"issuer": self.name, "audience": AUDIENCE, "algorithms": ["RS256", "ES256", "EdDSA"]}
        return known | ({} if "jwks_file" in changes else {"jwks_url": self.url}) | changes

    def document(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) | {"kid": kid, "use": "sig"} for kid, key in self.keys.items()]}

    def claims(self, subject: str = "user-1", without: str = "", **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": self.name, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 600} | changes
        return {name: value for name, value in claims.items() if name != without}

    def token(self, kid: str = "rsa", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """With this issuer's own key: only what is named here differs from a good one."""
        alg = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}.get(kid, "RS256")
        head = {"alg": alg, "typ": "JWT", "kid": kid} | (header or {})
        return by_hand(head, self.claims(**claims), signer(self.keys[kid], alg))

    def _jwks(self) -> web.StreamResponse:
        return web.json_response(self.document())

    async def _serve(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        return self.reply()


def signer(key: Any, algorithm: str) -> Sign:
    model = JWSRegistry.algorithms[algorithm]
    return lambda content: model.sign(content, key)


def by_hand(header: Any, claims: Any, sign: Sign) -> str:
    """`header` and `claims` may be bytes, to be taken as they are."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    content = ".".join(map(b64, parts))
    return f"{content}.{b64(sign(content.encode()))}"


@contextlib.asynccontextmanager
async def published(issuer: Issuer) -> AsyncIterator[Issuer]:
    """Serve the issuer's keys on a free port of this machine."""
    app = web.Application()
    app.router.add_get("/jwks.json", issuer._serve)
    app.router.add_get("/elsewhere", issuer._serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    try:
        yield issuer
    finally:
        await runner.cleanup()


def knowing(settings: Settings, issuer: Issuer, **changes: Any) -> Settings:
    """Return settings with which a node accepts the issuer's tokens."""
    return replace(settings, issuers=json.dumps([issuer.settings(**changes)]))
