"""Verify the signature of a JWT: the same for our own access tokens and those of external issuers."""

from __future__ import annotations

from collections.abc import Sequence

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import CompactSignature, JWSRegistry
from joserfc.registry import Header

PublicKey = RSAKey | ECKey | OKPKey


class SignatureRefused(ValueError):
    """The token is malformed, uses another algorithm, or was not signed with this key."""


class SignatureRules(JWSRegistry):
    """The algorithms that may sign, and how much of the header is judged.

    `strict`: refuse headers that joserfc does not know. Otherwise the header is the caller's to judge: external
    issuers put members of their own into it.
    """

    max_header_length = 6_144
    max_signature_length = 2_048

    def __init__(self, algorithms: Sequence[str], *, strict: bool) -> None:
        super().__init__(algorithms=algorithms)
        self._strict = strict

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return an algorithm. Unless strict, EdDSA is an old name of Ed25519 (RFC 9864): keys have no other curve."""
        return super().get_alg("Ed25519" if name == "EdDSA" and not self._strict else name)

    def check_header(self, header: Header) -> None:
        """Check the header if the rules are strict."""
        if self._strict:
            super().check_header(header)


def verify_signature(token: str, key: PublicKey | KeySet, rules: SignatureRules) -> CompactSignature:
    """Return header and payload of a token that was signed with `key`, of a set with the one that it names.

    Raises SignatureRefused.
    """
    try:
        return jws.deserialize_compact(token, key, registry=rules)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SignatureRefused(str(error)) from error
