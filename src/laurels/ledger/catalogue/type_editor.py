"""Action types as operators list and change them.

An edit names the version it was made on: a concurrent edit is refused, so nothing is overwritten unseen. Every change
is audited and journalled in its own transaction, so that all nodes follow it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from ...domain.actions import ActionType
from ...domain.errors import Code, LaurelsError
from ...domain.rules import ScoringRules, check_rules, parse_rules
from ..authorization import authorize_change
from ..db.paging import Page, keys_of, page
from ..db.pool import Connection, Pool, acquire_within
from ..events import audit
from ..events.audit import Actor
from ..events.journal import announce
from .catalogue import Catalogue

MAX_TYPES = 1_000
"""Action types; every process holds all of them in memory."""

_COLUMNS = "id, name, description, base_score, scoring_rules, is_active, version"
LIST_TYPES = f"""
SELECT {_COLUMNS} FROM action_types
WHERE ($1::bigint IS NULL OR id > $1) AND ($2::boolean IS NULL OR is_active = $2)
  AND ($3::text IS NULL OR starts_with(lower(name), lower($3)))
ORDER BY id LIMIT $4"""
_TYPE = f"SELECT {_COLUMNS} FROM action_types WHERE name = $1"
_INSERT_TYPE = f"""
INSERT INTO action_types (name, description, base_score, scoring_rules, is_active)
SELECT $1, $2, $3, $4::jsonb, $5 WHERE (SELECT count(*) FROM action_types) < $6
RETURNING {_COLUMNS}"""
_UPDATE_TYPE = f"""
UPDATE action_types SET description = $2, base_score = $3, scoring_rules = $4::jsonb, is_active = $5,
       version = version + 1, updated_at = clock_timestamp()
WHERE id = $1 RETURNING {_COLUMNS}"""
_NAMES = "SELECT name FROM action_types WHERE name = ANY ($1::text[])"


@dataclass(frozen=True, slots=True)
class TypeDraft:
    """The part of an action type that an operator decides; its name cannot be changed."""

    name: str
    description: str
    base_score: int
    rules: ScoringRules
    is_active: bool


@dataclass(frozen=True, slots=True)
class EditedType:
    """An action type with the version that the next edit must name."""

    id: int
    draft: TypeDraft
    version: int

    def kind(self) -> ActionType:
        """Return the type as the rules read it."""
        d = self.draft
        return ActionType(self.id, d.name, d.description, d.base_score, d.rules, d.is_active)


class TypeEditor:
    """Create and change types; every method is one short transaction, after which `catalogue` knows the change."""

    def __init__(self, pool: Pool, catalogue: Catalogue, node: UUID) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._node = node

    async def list(
        self, cursor: str | None, limit: int, *, active: bool | None, prefix: str | None
    ) -> Page[EditedType]:
        """Return all action types, oldest first."""
        (after,) = keys_of(cursor, int)
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(LIST_TYPES, after, active, prefix, limit + 1)
        return page([_edited(row) for row in rows], limit, lambda kind: (kind.id,))

    async def get(self, name: str) -> EditedType:
        """Return an action type. Raises LaurelsError(NOT_FOUND)."""
        async with acquire_within(self._pool) as connection:
            return await _type(connection, name)

    async def create(self, draft: TypeDraft, actor: Actor, reason: str | None = None) -> EditedType:
        """Create a type. Raises LaurelsError ALREADY_EXISTS, CATALOGUE_FULL, or INVALID_REQUEST for invalid rules."""
        async with acquire_within(self._pool) as connection, connection.transaction():
            await authorize_change(connection, actor, "catalogue:write")
            await _check(connection, draft)
            try:
                row = await connection.fetchrow(_INSERT_TYPE, *_values(draft), MAX_TYPES)
            except asyncpg.UniqueViolationError as error:
                raise LaurelsError(
                    Code.ALREADY_EXISTS, f"There is an action type {draft.name!r}.", path="$.name"
                ) from error
            if row is None:
                raise LaurelsError(Code.CATALOGUE_FULL, f"There are {MAX_TYPES} action types: no more fit.")
            await audit.record(
                connection,
                actor,
                "action_type.create",
                f"action_type:{draft.name}",
                after=audit_values(draft),
                reason=reason,
            )
            await announce(connection, self._node, "catalogue", [])
        await self._catalogue.refresh()
        return _edited(row)

    async def edit(
        self, name: str, version: int, changes: Mapping[str, Any], actor: Actor, reason: str | None = None
    ) -> EditedType:
        """Change members of a TypeDraft. Raises LaurelsError NOT_FOUND, VERSION_CONFLICT or INVALID_REQUEST."""
        async with acquire_within(self._pool) as connection, connection.transaction():
            await authorize_change(connection, actor, "catalogue:write")
            found = await _type(connection, name, lock=True)
            check_version(found.version, version)
            draft = dataclasses.replace(found.draft, **changes)
            if draft == found.draft:
                return found
            await _check(connection, draft)
            row = await connection.fetchrow(_UPDATE_TYPE, found.id, *_values(draft)[1:])
            await audit.record(
                connection,
                actor,
                "action_type.edit",
                f"action_type:{name}",
                before=audit_values(found.draft),
                after=audit_values(draft),
                reason=reason,
            )
            await announce(connection, self._node, "catalogue", [])
        await self._catalogue.refresh()
        return _edited(row)


def check_version(present: int, named: int) -> None:
    """Check the version of an edit. Raises LaurelsError(VERSION_CONFLICT)."""
    if present != named:
        raise LaurelsError(
            Code.VERSION_CONFLICT,
            f"This was changed meanwhile: it is version {present}, not {named}. Read it again, then decide.",
            path="$.version",
        )


def audit_values(draft: TypeDraft) -> dict[str, Any]:
    """Return the type as the audit trail stores it."""
    return {
        "description": draft.description,
        "base_score": draft.base_score,
        "scoring_rules": draft.rules,
        "is_active": draft.is_active,
    }


async def _type(connection: Connection, name: str, *, lock: bool = False) -> EditedType:
    row = await connection.fetchrow(_TYPE + (" FOR UPDATE" if lock else ""), name)
    if row is None:
        raise LaurelsError(Code.NOT_FOUND, f"There is no action type {name!r}.")
    return _edited(row)


async def _check(connection: Connection, draft: TypeDraft) -> None:
    """Check that the rules are consistent, and that the types they require exist."""
    check_rules(draft.rules, "$.scoring_rules")
    wanted = [item.action_type for item in draft.rules.requires or ()]
    if not wanted:
        return
    known = {row["name"] for row in await connection.fetch(_NAMES, wanted)}
    for position, name in enumerate(wanted):
        if name not in known:
            raise LaurelsError(
                Code.INVALID_REQUEST,
                f"There is no action type {name!r}.",
                path=f"$.scoring_rules.requires[{position}].action_type",
            )


def _values(draft: TypeDraft) -> tuple[object, ...]:
    rules = msgspec.json.encode(draft.rules).decode()
    return draft.name, draft.description, draft.base_score, rules, draft.is_active


def _edited(row: asyncpg.Record) -> EditedType:
    draft = TypeDraft(
        row["name"], row["description"], row["base_score"], parse_rules(row["scoring_rules"]), row["is_active"]
    )
    return EditedType(row["id"], draft, row["version"])
