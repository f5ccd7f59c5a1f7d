"""Configuration files with `@name@` where a value goes: `$name` and `{name}` mean something to the parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .layout import DEPLOY, give, write_private

_PLACE = re.compile(r"@([a-z_]+)@")


def fill(template: str, values: Mapping[str, object]) -> str:
    """The text of `deploy/TEMPLATE` with every place filled. Raises KeyError for a place that has no value."""
    return _PLACE.sub(lambda found: str(values[found[1]]), (DEPLOY / template).read_text())


def render(
    template: str, file: Path, values: Mapping[str, object], user: str | None = None, *, private: bool = False
) -> Path:
    """Write the filled template to `file`; `private` when it holds passwords."""
    text = fill(template, values)
    if private:
        write_private(file, text, user)
        return file
    file.write_text(text)
    if user is not None:
        give(file, user)
    return file
