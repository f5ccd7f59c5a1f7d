"""Refusals as RFC 9457 problem details: one HTTP status and title per code."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from ...domain.errors import Code, LaurelsError, Refusal, retry_seconds
from .responses import Reply, encode

MEDIA_TYPE = "application/problem+json"

STATUS: dict[Code, tuple[int, str]] = {
    Code.MALFORMED_REQUEST: (400, "Not valid HTTP"),
    Code.BODY_TIMEOUT: (408, "Body not received in time"),
    Code.BODY_TOO_LARGE: (413, "Body too large"),
    Code.INVALID_JSON: (400, "Not valid JSON"),
    Code.INVALID_REQUEST: (422, "Request does not match its schema"),
    Code.UNSUPPORTED_MEDIA_TYPE: (415, "Unsupported media type"),
    Code.UNSUPPORTED_ENCODING: (415, "Unsupported content encoding"),
    Code.METHOD_NOT_ALLOWED: (405, "Method not allowed"),
    Code.NOT_FOUND: (404, "Not found"),
    Code.TOKEN_MISSING: (401, "Access token missing"),
    Code.TOKEN_INVALID: (401, "Access token not valid"),
    Code.TOKEN_EXPIRED: (401, "Access token expired"),
    Code.API_KEY_INVALID: (401, "API key not valid"),
    Code.SIGNATURE_INVALID: (401, "Signature not valid"),
    Code.SIGNATURE_EXPIRED: (401, "Signature expired"),
    Code.SIGNATURE_REPLAYED: (409, "Signature used before"),
    Code.ISSUER_UNAVAILABLE: (503, "Issuer not reachable"),
    Code.REFRESH_INVALID: (401, "Refresh token not valid"),
    Code.CREDENTIALS_WRONG: (401, "Wrong username or password"),
    Code.FORBIDDEN: (403, "Not allowed"),
    Code.BANNED: (403, "Account banned"),
    Code.RATE_LIMITED: (429, "Too many requests"),
    Code.OVERLOADED: (503, "Overloaded"),
    Code.DATABASE_UNAVAILABLE: (503, "Ledger not reachable"),
    Code.OUTCOME_UNKNOWN: (503, "Outcome unknown"),
    Code.USERNAME_INVALID: (422, "Username not allowed"),
    Code.USERNAME_TAKEN: (409, "Username taken"),
    Code.NAME_SIMILAR: (409, "Another name is similar"),
    Code.EMAIL_TAKEN: (409, "E-mail address taken"),
    Code.KEY_UNKNOWN: (404, "Unknown API key"),
    Code.LAST_ADMIN: (409, "Last admin"),
    Code.TOO_MANY_KEYS: (409, "Too many API keys"),
    Code.ALREADY_EXISTS: (409, "Already exists"),
    Code.VERSION_CONFLICT: (409, "Version conflict"),
    Code.BOARD_FIXED: (409, "Member fixed for the board's life"),
    Code.REGISTRATION_CLOSED: (403, "Registration closed"),
    Code.CATALOGUE_FULL: (409, "Catalogue full"),
    Code.BOARD_UNKNOWN: (404, "Unknown board"),
    Code.WINDOW_UNKNOWN: (404, "Unknown window"),
    Code.USER_UNKNOWN: (404, "Unknown user"),
    Code.RECEIPT_UNKNOWN: (404, "Unknown receipt"),
    Code.ACTION_UNKNOWN: (404, "Unknown action"),
    Code.NOT_HELD: (409, "Not held for review"),
    Code.NOT_REVERSIBLE: (409, "Can't be undone"),
    Code.NOT_ADJUSTABLE: (409, "The score can't be adjusted"),
    Code.IDENTIFIER_CONFLICT: (409, "Identifier used with another body"),
    Code.ACTION_TYPE_UNKNOWN: (422, "Unknown action type"),
    Code.ACTION_TYPE_INACTIVE: (422, "Action type not active"),
    Code.SERVER_ONLY: (422, "Servers only"),
    Code.TICKET_REQUIRED: (422, "Ticket required"),
    Code.TICKET_INVALID: (422, "Ticket not valid"),
    Code.TICKET_NOT_YOURS: (422, "Ticket of another user"),
    Code.TICKET_USED: (422, "Ticket used"),
    Code.TICKET_TOO_EARLY: (422, "Too early for this ticket"),
    Code.TICKET_EXPIRED: (422, "Ticket expired"),
    Code.TICKET_OVERLAPS: (422, "Ticket overlaps"),
    Code.TICKET_NOT_NEEDED: (422, "Ticket not needed"),
    Code.COMPLETED_IN_FUTURE: (422, "Completed in the future"),
    Code.COOLDOWN_ACTIVE: (422, "Cooldown active"),
    Code.DAILY_CAP_REACHED: (422, "Daily cap reached"),
    Code.TOTAL_CAP_REACHED: (422, "Total cap reached"),
    Code.HOUR_CAP_REACHED: (422, "Hour cap reached"),
    Code.MINUTE_CAP_REACHED: (422, "Minute cap reached"),
    Code.DAILY_POINTS_REACHED: (422, "Daily points reached"),
    Code.NOT_STARTED: (422, "Not started"),
    Code.ENDED: (422, "Ended"),
    Code.COMPLETED_TOO_LONG_AGO: (422, "Completed too long ago"),
    Code.METADATA_INVALID: (422, "Metadata not accepted"),
    Code.REQUIREMENT_MISSING: (422, "Requirement missing"),
    Code.ALREADY_CLAIMED: (422, "Already claimed"),
    Code.SCORE_OVERFLOW: (422, "Score overflow"),
    Code.ACTION_UNWRITABLE: (422, "Action can't be stored"),
    Code.UPGRADE_REQUIRED: (426, "WebSocket only"),
    Code.TOO_MANY_SOCKETS: (503, "Too many sockets"),
    Code.MISDIRECTED: (421, "Misdirected request"),
    Code.TOO_MANY_SUBSCRIPTIONS: (422, "Too many subscriptions on one socket"),
    Code.TOO_MANY_UNANSWERED: (429, "Too many unanswered frames on one socket"),
    Code.ORIGIN_NOT_ALLOWED: (403, "Origin not allowed"),
    Code.INTERNAL: (500, "Internal error"),
}


class Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457 problem details. `code` is stable; `detail` is for people and may change."""

    type: str
    title: str
    status: int
    code: Code
    detail: str
    request_id: str
    path: str | None = None
    retry_after: int | None = None
    retry_at: datetime | None = None


def status_of(code: Code) -> int:
    """Return the HTTP status of a code."""
    return STATUS[code][0]


def problem(error: LaurelsError, request_id: str) -> tuple[Problem, dict[str, str]]:
    """Return the body of a refusal and its headers."""
    status, title = STATUS[error.code]
    retry_after = retry_seconds(error, datetime.now(UTC))
    body = Problem(
        type=f"/api/docs#{error.code}",
        title=title,
        status=status,
        code=error.code,
        detail=error.detail,
        request_id=request_id,
        path=error.path,
        retry_after=retry_after,
        retry_at=error.retry_at if isinstance(error, Refusal) else None,
    )
    return body, _headers(error.code, status, retry_after)


def refusal_reply(error: LaurelsError, request_id: str) -> Reply:
    """Return a refusal as problem+json."""
    body, headers = problem(error, request_id)
    return Reply(encode(body), body.status, headers)


def _headers(code: Code, status: int, retry_after: int | None) -> dict[str, str]:
    headers = {"Content-Type": MEDIA_TYPE}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if status == 401:
        presented = code in (Code.TOKEN_INVALID, Code.TOKEN_EXPIRED, Code.API_KEY_INVALID)
        headers["WWW-Authenticate"] = 'Bearer realm="laurels"' + (', error="invalid_token"' if presented else "")
    if code is Code.UNSUPPORTED_ENCODING:
        headers["Accept-Encoding"] = "gzip, deflate"
    if code is Code.UPGRADE_REQUIRED:
        headers["Upgrade"] = "websocket"
    return headers
