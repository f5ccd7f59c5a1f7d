"""API keys for tests, and the signature of a body as a stranger would compute it from the documentation."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from uuid import uuid4

from laurels.app.api_keys import FreshSecret
from laurels.domain.authorization import Scope
from laurels.ledger.accounts.api_keys import ApiKeys
from laurels.ledger.db.pool import Pool
from laurels.ledger.events.audit import SYSTEM
from laurels.web.auth.secret_box import SecretBox
from tests.support.node import InProcessNode


async def make_key(pool: Pool, *scopes: Scope) -> tuple[int, str, str]:
    """(id, the key's text, its signing secret), as a node that is started later knows it."""
    fresh = FreshSecret.generate()
    made = await ApiKeys(pool, uuid4()).create(
        "a server", scopes or ("actions:write",), fresh.stored(SecretBox()), SYSTEM
    )
    shown = fresh.shown(made)
    return made.id, shown.api_key, shown.signing_secret


async def key_on(node: InProcessNode, *scopes: Scope) -> tuple[int, str, str]:
    """As `make_key`, known to the node at once."""
    made = await make_key(node.services.pool, *scopes)
    await node.services.keyring.refresh()
    return made


def signature(key_id: int, secret: str, body: bytes, *, at: float | None = None, nonce: str | None = None) -> str:
    timestamp = str(int(time.time() if at is None else at))
    nonce = nonce or secrets.token_hex(16)
    mac = hmac.new(secret.encode(), f"{timestamp}.{nonce}.".encode() + body, hashlib.sha256).hexdigest()
    return f"k={key_id},t={timestamp},n={nonce},v1={mac}"
