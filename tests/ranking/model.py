"""The simplest thing that is right: a list, sorted again for every question."""

from __future__ import annotations

from dataclasses import dataclass, field

from laurels.domain.boards import Window
from laurels.domain.standings import Standing, sort_score


@dataclass
class Model:
    window: Window
    standings: dict[int, Standing] = field(default_factory=dict)

    def apply(self, changes: list[tuple[int, Standing]]) -> None:
        for user, standing in changes:
            held = self.standings.get(user)
            if held is None or standing.version > held.version:
                self.standings[user] = standing

    def rows(self) -> list[tuple[int, int, int, int]]:
        """(rank, user id, score, reached_at), best first."""
        board = self.window.board
        held = ((user, s) for user, s in self.standings.items() if not s.hidden)
        seen = [(sort_score(s.score, board.order), s.reached_at, user, s.score) for user, s in held]
        ordered = sorted(seen)
        rows = []
        for position, (value, at, user, score) in enumerate(ordered, 1):
            better = [other for other, *_ in ordered if other < value]
            rank = {"ordinal": position, "competition": len(better) + 1, "dense": len(set(better)) + 1}[board.ties]
            rows.append((rank, user, score, at))
        return rows

    def rank(self, user: int) -> int | None:
        return next((rank for rank, who, *_ in self.rows() if who == user), None)

    def with_one_more(self, user: int, standing: Standing) -> Model:
        """The same board, had this standing been on it."""
        return Model(self.window, self.standings | {user: standing})

    def around(self, user: int, radius: int) -> list[tuple[int, int, int, int]]:
        rows = self.rows()
        at = next((n for n, row in enumerate(rows) if row[1] == user), None)
        return [] if at is None else rows[max(0, at - radius) : at + radius + 1]
