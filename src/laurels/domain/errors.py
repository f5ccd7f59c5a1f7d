"""Every refusal of the service, by stable code.

A code is a promise to clients: it never changes its meaning and is never reused. `web/http/problems.py` maps each code
to its HTTP status.
"""

from __future__ import annotations

import math
from datetime import datetime
from enum import StrEnum


class Code(StrEnum):
    """Stable machine-readable reasons, in the order in which a request meets them."""

    MALFORMED_REQUEST = "malformed_request"
    BODY_TIMEOUT = "body_timeout"
    BODY_TOO_LARGE = "body_too_large"
    INVALID_JSON = "invalid_json"
    INVALID_REQUEST = "invalid_request"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    TOKEN_MISSING = "token_missing"  # noqa: S105  a code, not a secret
    TOKEN_INVALID = "token_invalid"  # noqa: S105
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    API_KEY_INVALID = "api_key_invalid"
    SIGNATURE_INVALID = "signature_invalid"
    SIGNATURE_EXPIRED = "signature_expired"
    SIGNATURE_REPLAYED = "signature_replayed"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    REFRESH_INVALID = "refresh_invalid"
    CREDENTIALS_WRONG = "credentials_wrong"
    FORBIDDEN = "forbidden"
    BANNED = "banned"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    DATABASE_UNAVAILABLE = "database_unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    USERNAME_INVALID = "username_invalid"
    USERNAME_TAKEN = "username_taken"
    NAME_SIMILAR = "name_similar"
    EMAIL_TAKEN = "email_taken"
    KEY_UNKNOWN = "key_unknown"
    LAST_ADMIN = "last_admin"
    TOO_MANY_KEYS = "too_many_keys"
    ALREADY_EXISTS = "already_exists"
    VERSION_CONFLICT = "version_conflict"
    BOARD_FIXED = "board_fixed"
    REGISTRATION_CLOSED = "registration_closed"
    CATALOGUE_FULL = "catalogue_full"
    BOARD_UNKNOWN = "board_unknown"
    WINDOW_UNKNOWN = "window_unknown"
    USER_UNKNOWN = "user_unknown"
    RECEIPT_UNKNOWN = "receipt_unknown"
    ACTION_UNKNOWN = "action_unknown"
    NOT_HELD = "not_held"
    NOT_REVERSIBLE = "not_reversible"
    NOT_ADJUSTABLE = "not_adjustable"
    IDENTIFIER_CONFLICT = "identifier_conflict"
    ACTION_TYPE_UNKNOWN = "action_type_unknown"
    ACTION_TYPE_INACTIVE = "action_type_inactive"
    SERVER_ONLY = "server_only"
    TICKET_REQUIRED = "ticket_required"
    TICKET_INVALID = "ticket_invalid"
    TICKET_NOT_YOURS = "ticket_not_yours"
    TICKET_USED = "ticket_used"
    TICKET_TOO_EARLY = "ticket_too_early"
    TICKET_EXPIRED = "ticket_expired"
    TICKET_OVERLAPS = "ticket_overlaps"
    TICKET_NOT_NEEDED = "ticket_not_needed"
    COMPLETED_IN_FUTURE = "completed_in_future"
    COOLDOWN_ACTIVE = "cooldown_active"
    DAILY_CAP_REACHED = "daily_cap_reached"
    TOTAL_CAP_REACHED = "total_cap_reached"
    HOUR_CAP_REACHED = "hour_cap_reached"
    MINUTE_CAP_REACHED = "minute_cap_reached"
    DAILY_POINTS_REACHED = "daily_points_reached"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    COMPLETED_TOO_LONG_AGO = "completed_too_long_ago"
    METADATA_INVALID = "metadata_invalid"
    REQUIREMENT_MISSING = "requirement_missing"
    ALREADY_CLAIMED = "already_claimed"
    SCORE_OVERFLOW = "score_overflow"
    ACTION_UNWRITABLE = "action_unwritable"
    UPGRADE_REQUIRED = "upgrade_required"
    TOO_MANY_SOCKETS = "too_many_sockets"
    MISDIRECTED = "misdirected"
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions"
    TOO_MANY_UNANSWERED = "too_many_unanswered"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    INTERNAL = "internal"


class LaurelsError(Exception):
    """A refusal with a stable code and a sentence that says what to do.

    `path` names the offending member of a request (JSONPath-like, `$.metadata.level`).
    `retry_after` is in seconds, where waiting helps.
    """

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        path: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.path = path
        self.retry_after = retry_after


class Refusal(LaurelsError):
    """The rules refuse one action. Nothing is written and the identifier stays free.

    `retry_at` is the first instant at which the same action could count, if any. `rule` names the member of the
    scoring rules that refuses, where the code alone does not tell.
    """

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        retry_at: datetime | None = None,
        path: str | None = None,
        rule: str | None = None,
    ) -> None:
        super().__init__(code, detail, path=path)
        self.retry_at = retry_at
        self.rule = rule


def retry_seconds(error: LaurelsError, now: datetime) -> int | None:
    """Return the whole seconds until another try may succeed, at least 1, or None when waiting does not help."""
    seconds = error.retry_after
    if isinstance(error, Refusal) and error.retry_at is not None:
        seconds = (error.retry_at - now).total_seconds()
    return None if seconds is None else max(1, math.ceil(seconds))
