"""Operators' commands in this process: each waits for the nodes as a command does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from laurels.app import users
from laurels.app.admin_context import AdminContext
from laurels.app.settings import change_settings
from laurels.app.users import Role
from laurels.cli.ledger import change_ledger
from laurels.config import Settings
from laurels.ledger.accounts.sanctions import Sanction
from laurels.ledger.events.audit import SYSTEM


async def set_status(settings: Settings, username: str, status: Sanction) -> None:
    """`laurels user ban`, `shadow` or `unban`."""
    async with _user(settings, username) as (ledger, user_id):
        await users.set_status(ledger, user_id, status, SYSTEM, None)


async def set_role(settings: Settings, username: str, role: Role) -> None:
    """`laurels user role`."""
    async with _user(settings, username) as (ledger, user_id):
        await users.set_role(ledger, user_id, role, SYSTEM, None)


async def reset_password(settings: Settings, username: str) -> str:
    """`laurels user password`: return the new one."""
    from laurels.web.auth.passwords import Passwords

    async with _user(settings, username) as (ledger, user_id):
        return await users.reset_password(ledger, Passwords(1).hash, user_id, SYSTEM, None)


async def close_registration(settings: Settings) -> None:
    """`laurels settings set registration_open false`."""
    async with change_ledger(settings) as ledger:
        await change_settings(ledger, {"registration_open": False}, SYSTEM, None)


@asynccontextmanager
async def _user(settings: Settings, username: str) -> AsyncIterator[tuple[AdminContext, int]]:
    async with change_ledger(settings) as ledger:
        yield ledger, await users.find_user(ledger, username)
