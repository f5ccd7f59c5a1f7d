"""Settings that change while nodes run."""

from __future__ import annotations

from cyclopts import App
from rich.table import Table

from ..app.admin_context import AdminContext
from ..app.settings import SettingInForce, change_settings, check_setting_name, list_settings, parse_setting
from .flags import JsonFlag, ReasonFlag, examples
from .ledger import change, read
from .operator import operator
from .output import out, print_json

settings_app = App(name="settings")


@settings_app.default
def settings_list(*, json: JsonFlag = False) -> None:
    """List the settings that may change while nodes run: their values in force, and those of this environment."""
    _print_settings(read(_read_settings), json)


@settings_app.command(
    name="set",
    help_epilogue=examples(
        "laurels settings set login_rate 5 --reason 'password spraying'",
        "laurels settings set registration_open false",
    ),
)
def settings_set(name: str, value: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Override a setting on every node, within a second."""
    parsed = parse_setting(name, value)
    _print_settings(change(lambda ledger: change_settings(ledger, {name: parsed}, operator(), reason)), json)


@settings_app.command(name="unset", help_epilogue=examples("laurels settings unset login_rate"))
def settings_unset(name: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Remove an override: the environment of each node counts again."""
    check_setting_name(name)
    _print_settings(change(lambda ledger: change_settings(ledger, {name: None}, operator(), reason)), json)


async def _read_settings(ledger: AdminContext) -> list[SettingInForce]:
    await ledger.settings.refresh()
    return list_settings(ledger)


def _print_settings(settings: list[SettingInForce], json: bool) -> None:
    if json:
        members = ("name", "value", "default", "overridden")
        print_json([{member: getattr(setting, member) for member in members} for setting in settings])
        return
    table = Table("setting", "in force", "environment", "meaning")
    for setting in settings:
        shown = f"[bold]{setting.value}[/]" if setting.overridden else str(setting.value)
        table.add_row(setting.name, shown, str(setting.default), setting.meaning)
    out.print(table)
