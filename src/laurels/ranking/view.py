"""The view of a board: the public one, or that of a shadowed user, who sees their own standing on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """`shadowed_user`: whose view it is; None: the public view, which counts no shadowed user."""

    shadowed_user: int | None = None


PUBLIC = View()
