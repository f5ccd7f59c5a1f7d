"""LAURELS_ISSUERS: the external issuers whose tokens are accepted, as a strict document."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

ISSUER = "laurels"
"""`iss` of our own tokens: no other issuer may have it."""
MAX_ISSUERS = 16

Algorithm = Literal["RS256", "ES256", "EdDSA"]
Text = Annotated[str, Meta(min_length=1, max_length=512)]
Texts = Annotated[list[Text], Meta(min_length=1, max_length=MAX_ISSUERS)]


class ExternalIssuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One issuer.

    issuer          its `iss`, compared exactly
    audience        `aud` must be or contain one of these
    jwks_url, jwks_file   where its keys are; give one of the two
    algorithms      the algorithms it may sign with
    types           the `typ` that its tokens may have, whatever the case
    require_typ     refuse tokens without `typ`; ID tokens of some OpenID providers have none
    leeway          seconds by which the issuer's clock may differ from ours
    name_claim      the claim with the name of a new user
    subject_claim   the claim that identifies a user
    registers_when_closed   open accounts for new subjects even while registration is closed
    """

    issuer: Text
    audience: Text | Texts
    jwks_url: Text | None = None
    jwks_file: Text | None = None
    algorithms: Annotated[list[Algorithm], Meta(min_length=1)]
    types: Texts = msgspec.field(default_factory=lambda: ["JWT", "at+jwt"])
    require_typ: bool = True
    leeway: Annotated[int, Meta(ge=0, le=600)] = 60
    name_claim: Text = "name"
    subject_claim: Text = "sub"
    registers_when_closed: bool = False

    @property
    def audiences(self) -> frozenset[str]:
        """The audiences, one of which a token must name."""
        return frozenset([self.audience] if isinstance(self.audience, str) else self.audience)


def parse_issuers(document: str) -> list[ExternalIssuer]:
    """Return the issuers of a document; an empty one has none. Raises ValueError with one line that says why."""
    if not document.strip():
        return []
    try:
        issuers = msgspec.json.decode(document, type=list[ExternalIssuer])
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    if len(issuers) > MAX_ISSUERS:
        raise ValueError(f"at most {MAX_ISSUERS} issuers")
    names = [one.issuer for one in issuers]
    for position, one in enumerate(issuers):
        complaint = _complaint(one, names[:position])
        if complaint:
            raise ValueError(f"{complaint} - at `$[{position}]`")
    return issuers


def _complaint(one: ExternalIssuer, earlier: list[str]) -> str | None:
    if one.issuer == ISSUER:
        return f"{ISSUER!r} is the issuer of Laurels' own tokens"
    if one.issuer in earlier:
        return f"{one.issuer!r} is listed twice"
    if (one.jwks_url is None) == (one.jwks_file is None):
        return "give jwks_url or jwks_file"
    if one.jwks_url is not None and not _is_safe(one.jwks_url):
        return "jwks_url must be https, or http on a loopback address"
    return None


def _is_safe(url: str) -> bool:
    """Return whether keys from this address can't be replaced on the network."""
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.username or parts.password:
            return False
        if parts.scheme == "https":
            return True
        return parts.scheme == "http" and (
            parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback
        )
    except ValueError:
        return False
