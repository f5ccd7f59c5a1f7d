"""Configuration templates with `@name@` as placeholders: `$name` and `{name}` mean something in their files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .layout import DEPLOY, give, write_private

_PLACE = re.compile(r"@([a-z_]+)@")


def fill(template: str, values: Mapping[str, object]) -> str:
    """Return the text of `deploy/TEMPLATE` with every placeholder filled. Raises KeyError for one that has no value."""
    return _PLACE.sub(lambda found: str(values[found[1]]), (DEPLOY / template).read_text())


def render(
    template: str, file: Path, values: Mapping[str, object], user: str | None = None, *, private: bool = False
) -> Path:
    """Write the filled template to `file`; `private` if it contains passwords."""
    text = fill(template, values)
    if private:
        write_private(file, text, user)
        return file
    file.write_text(text)
    if user is not None:
        give(file, user)
    return file
