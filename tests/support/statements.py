"""The statements of the ledger that `tests/ledger/db/test_plans*.py` plan, each with the indexes that must serve it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from laurels.domain.boards import Board
from laurels.ledger import authorization
from laurels.ledger.accounts import (
    accounts,
    directory,
    erasure,
    name_guard,
    name_keys,
    nonces,
    people,
    revocations,
    sanctions,
    sessions,
    user_editor,
)
from laurels.ledger.corrections import corrections, review
from laurels.ledger.events import audit, journal, propagation
from laurels.ledger.queries import score_history as explained
from laurels.ledger.queries import user_actions
from laurels.ledger.standings import refolding, snapshots, standings
from laurels.ledger.standings.snapshots import _LATEST
from laurels.ledger.transfer import folding, history
from laurels.ledger.transfer import users as imported_users
from laurels.ledger.write.sql import LOAD_BATCH, LOAD_TICKETS, LOCK_USERS
from laurels.ranking import sql_index

DESC = Board(1, "b", "B")
NODE = UUID(int=1)


@dataclass(frozen=True)
class Case:
    """A statement, arguments, and the indexes that must serve it in an ordinary ledger.

    walks     indexes that it may read from end to end, because that is what it is for, or because they are partial
    filtered  arguments of NULL mean "any": PostgreSQL goes on planning such a statement for its arguments, because
              the plan for all of them costs more
    lane      planned as the connections of the writer plan
    rare      what it looks for is rare, which only statistics can tell: just after a load it reads everything. An
              import analyses what it has loaded
    """

    statement: str
    arguments: list[Any]
    indexes: set[str]
    walks: frozenset[str] = frozenset()
    filtered: bool = False
    lane: bool = False
    rare: bool = False


WALKS_USERS = frozenset({"users_pkey"})
PARTIAL = frozenset({"users_not_active", "users_operators", "reviews_open", "users_without_keys"})

CASES = [
    Case(LOCK_USERS, [[5, 6, 7]], {"users_pkey"}, lane=True),
    Case(
        LOAD_BATCH,
        [[5, 6], [1, 2], '{"(5,i5)","(6,i6)"}', '{"(5,1)","(6,1)"}', 2],
        {"actions_identifier", "user_action_counters_pkey", "standings_pkey"},
        lane=True,
    ),
    Case(user_actions.RECEIPT, [5, "i5"], {"actions_identifier"}),
    Case(user_actions.RECENT_ACTIONS, [5, 20], set()),
    Case(people.DONE, [5], {"user_action_counters_pkey"}),
    Case(people.HISTORY, [5, date(2026, 1, 1), 5_000], {"actions_recent"}),
    Case(sql_index.query(sql_index._TOP, DESC), [1, 100], {"standings_order"}),
    Case(sql_index.query(sql_index._AROUND, DESC), [1, 5, 50], {"standings_order", "standings_pkey"}),
    Case(sql_index.query(sql_index._PLACES, DESC), [1, [5, 6]], {"standings_order", "standings_pkey"}),
    Case(sql_index.query(sql_index._AROUND_HIDDEN, DESC), [1, 5, 50], {"standings_order", "standings_pkey"}),
    Case(sql_index.query(sql_index._PLACE_OF, DESC), [1, 5, 7, ~7, date(2026, 1, 1)], {"standings_order"}),
    Case(standings._OF_USERS, [[1, 2], [5, 6]], {"standings_pkey"}),
    Case(standings._RANDOM, [1, 50, 200], {"standings_pkey"}),
    Case(directory._PEOPLE, [[5, 6]], {"users_pkey"}),
    Case(directory.WHO, ["user-5"], {"users_username_fold"}),
    Case(
        directory._RESOLVE,
        [[0, 1, 2], [5, 6, 7], ["user-5", "user-6", "user-7"], ["i", "i", "i"], ["5", "6", "7"]],
        {"users_pkey", "users_username_fold", "users_external"},
    ),
    Case(accounts._OUTSIDER, ["i", "5"], {"users_external"}),
    Case(LOAD_TICKETS, [[b"5", b"6"]], {"ticket_uses_pkey"}, lane=True),
    Case(nonces._TRIM_NONCES, [100], {"signature_nonces_age"}),
    Case(nonces._TRIM_TICKETS, [100], {"ticket_uses_age"}),
    Case(directory._OFF_BOARD, [], {"users_not_active"}, PARTIAL, rare=True),
    Case(accounts._LOGIN, ["user-5"], {"users_username_fold"}),
    Case(authorization.ANOTHER_ADMIN, [5], {"users_operators"}, PARTIAL, rare=True),
    Case(name_guard.NEAR_OPERATOR, ["user-5"], {"users_username_similar"}),
    Case(name_guard.SIMILAR, [5], {"users_username_similar", "users_pkey"}),
    Case(name_keys.STALE, [1_000], {"users_without_keys"}, PARTIAL),
    Case(name_keys._UPDATE, [[5, 6], ["a", "b"], ["a", "b"], ["a", "b"], ["a", "b"]], {"users_pkey"}),
    Case(authorization._LOCK_USERS, [[5, 6]], {"users_pkey"}),
    Case(sessions._READ, [b"5", sessions.GRACE], {"refresh_tokens_token_hash_key", "users_pkey"}),
    Case(sessions._REVOKE_FAMILY, [UUID(int=5)], {"refresh_tokens_family"}),
    Case(sessions._REVOKE_USER, [5], {"refresh_tokens_user"}),
    Case(
        sessions._COUNT_ENDED,
        [5, UUID(int=5)],
        {"refresh_tokens_user_ended", "refresh_tokens_family", "users_pkey"},
    ),
    Case(sessions._FORGET_SUCCESSORS, [sessions.GRACE, 100], {"refresh_tokens_successor"}),
    Case(revocations.LATEST_USERS, [revocations.LIFE, 100], {"users_tokens_ended"}),
    Case(revocations.USERS_AMONG, [revocations.LIFE, [5, 6]], {"users_pkey"}),
    Case(revocations.LATEST_SESSIONS, [100], {"refresh_tokens_ended", "users_pkey"}),
    Case(revocations.SESSIONS_AMONG, [[5, 6]], {"users_pkey", "refresh_tokens_user_ended"}),
    Case(accounts._IS_ERASED, [b"5", 5], {"erased_subjects_pkey"}),
    Case(sanctions.HIDE, [5, True], {"standings_pkey"}),
    Case(refolding.ROWS_OF_USER, [5, 0, 0, 100], {"actions_recent", "actions_reverses"}),
    Case(refolding._STANDINGS, [5, [1, 2]], {"standings_pkey"}),
    Case(corrections._FIND, [5], {"actions_pkey"}),
    Case(corrections._REVERSAL_OF, [5], {"actions_reverses"}),
    Case(corrections._ADJUSTMENT, [5, "i5"], {"actions_adjustment"}),
    Case(review.PENDING, [1, None, None, 50], {"reviews_open", "actions_pkey", "users_pkey"}, PARTIAL, filtered=True),
    Case(explained.ROWS, [5, 40_000, 51], {"actions_recent", "actions_reverses"}),
    Case(explained.TOTALS, [5], {"actions_recent", "users_pkey"}),
    Case(erasure.ERASE_FROZEN, [5, "gone-1"], {"scoreboard_snapshots_people"}),
    Case(_LATEST, [1], {"scoreboard_snapshots_latest"}),
    Case(journal._READ, ["9999999", NODE], {"journal_xid"}, walks=frozenset({"journal_xid"})),
    Case(audit.LISTS["subject"], [20_000, None, "user:5", None, None, None, 51], {"audit_subject"}, filtered=True),
    Case(audit.LISTS["actor"], [None, "user:5", None, None, None, None, 51], {"audit_actor"}, filtered=True),
    Case(audit.LISTS["act"], [None, None, None, "user.ban", None, None, 51], {"audit_act"}, filtered=True),
    Case(audit.LISTS[None], [None, None, None, None, None, None, 51], {"audit_pkey"}, filtered=True),
    Case(user_editor.BY_ID, [None, None, None, None, 500, 51], {"users_pkey"}, WALKS_USERS, filtered=True),
    Case(
        user_editor.BY_ID,
        [None, None, "banned", None, None, 51],
        {"users_not_active"},
        PARTIAL,
        filtered=True,
        rare=True,
    ),
    Case(
        user_editor.BY_ID,
        [None, None, None, "admin", None, 51],
        {"users_operators"},
        PARTIAL,
        filtered=True,
        rare=True,
    ),
    Case(user_editor.BY_NAME, ["user-77", "user-78", None, None, "user-770", 51], {"users_name_prefix"}, filtered=True),
    Case(
        user_editor.BY_SCORE,
        [None, None, None, None, ~900, 51, 1, date(2026, 1, 1), 5, ~950, ~100],
        {"standings_order", "users_pkey"},
        filtered=True,
    ),
    Case(history.LAST_SCORES, [[5, 6]], {"actions_recent"}),
    Case(history.NAMED["completion"], [[0, 1], [5, 6], ["i5", "i6"]], {"actions_identifier"}),
    Case(history.NAMED["adjustment"], [[0, 1], [5, 6], ["i5", "i6"]], {"actions_adjustment"}),
    Case(history.REVERSALS, [[5, 6]], {"actions_reverses"}),
    Case(history._USERS, [["user-5", "user-6"]], {"users_username_fold"}),
    Case(imported_users._KNOWN, [["user-5", "user-6"]], {"users_username_fold"}),
    Case(
        imported_users._OBSTACLES,
        [["user-5"], ["5@example.org"], ["i"], ["5"]],
        {"users_username_skeleton", "users_email", "users_external"},
    ),
    Case(folding._PRESENT, [[5, 6]], {"standings_pkey"}),
    Case(erasure._ERASE_METADATA, [5, 0, 100], {"actions_recent", "actions_pkey"}),
    Case(erasure._SESSIONS, [5], {"refresh_tokens_user"}),
    Case(erasure._COUNTERS, [5], {"user_action_counters_pkey"}),
    Case(erasure._ERASE_SESSIONS, [5], {"refresh_tokens_user"}),
    Case(journal._BY_ID, [[5, 6]], {"journal_pkey"}),
    Case(journal.TRIM, [100], {"journal_pkey"}, walks=frozenset({"journal_pkey"})),
    Case(propagation._TRIM_ACKNOWLEDGEMENTS, [100], {"journal_pkey"}),
    Case(sessions._TRIM, [100], {"refresh_tokens_age"}),
    Case(accounts._FIRST_ADMIN, [], {"users_operators"}, PARTIAL, rare=True),
    Case(accounts.ANY_ADMIN, [], {"users_operators"}, PARTIAL, rare=True),
    Case(accounts.ANY_ADMIN_WITH_LOGIN, [], {"users_operators"}, PARTIAL, filtered=True, rare=True),
    Case(directory._FIND_ANY, ["user-5"], {"users_username_fold"}),
    Case(directory._OFF_BOARD_AMONG, [[5, 6]], {"users_not_active"}),
    Case(refolding._DROP_PROGRESS, [5, 1], {"user_action_counters_pkey"}),
    Case(snapshots._LOCK_CHUNK, [[5, 6]], {"users_pkey"}),
    Case(snapshots._WRITE_CHUNK, [[5, 6], [1, 2]], {"users_pkey"}),
    Case(snapshots._DUE, [[1, 2], 60], {"scoreboard_snapshots_latest"}),
    Case(folding._PUT_USERS, [[5, 6], [1, 2], [1, 2], date(2026, 1, 1)], {"users_pkey"}),
    Case(standings._HIGHEST, [], {"users_pkey"}),
    Case(people.SEARCH, ["user-7", "user-8", 20], {"users_name_prefix"}),
]


WHOLE = {
    "events.audit._LIST": "a template: LISTS are planned",
    "write.batch.WRITE_BATCH": "writes; planned without arguments below",
    "write.sql.WRITE_BATCH": "the same",
    "standings.repair._ROWS": "verify folds the whole ledger",
    "standings.repair._PRESENT": "verify compares every standing",
    "standings.repair._DIFFERING_CURRENT": "verify compares every user",
    "accounts.sessions._REVOKE": "a template: those of a user and of a log-in are planned",
    "standings.snapshots._FREEZE": "a template; the top of a window, and how many there are in it",
    "standings.standings._COUNT": "of a whole window",
    "standings.standings._STREAM": "a window, into an index",
    "standings.standings._PACKED": "a window, into the shared index",
    "standings.standings._RANKED": "a template; a window, to verify",
    "transfer.exporting._USERS": "an export",
    "transfer.exporting._LEDGER": "an export",
    "transfer.exporting.COUNTS": "of an export",
    "write.baselines._USUAL": "the newest rows of everybody, by id",
}
"""Statements of the ledger that read much on purpose."""
