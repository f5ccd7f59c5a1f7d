"""The contexts of a node: for each group of use cases and handlers the parts that it works with."""

from __future__ import annotations

from datetime import timedelta

from .app.context import AccountContext, ActionContext, BoardContext, OwnDataContext, PeopleContext
from .node_parts import NodeParts
from .web.api.documents import api_documents
from .web.context import HealthContext, IndexContext, LiveContext, StatsContext


def contexts_of(parts: NodeParts, refresh_life: timedelta) -> tuple[object, ...]:
    """Return what handlers may ask for. `refresh_life`: of a refresh token."""
    actions = ActionContext(
        parts.writer,
        parts.catalogue,
        parts.directory,
        parts.readers,
        parts.scoreboards,
        parts.ticket_signer,
        parts.ready_types,
    )
    boards = BoardContext(parts.catalogue, parts.directory, parts.reads, parts.scoreboards, parts.archive)
    accounts = AccountContext(
        pool=parts.pool,
        accounts=parts.accounts,
        sessions=parts.sessions,
        users=parts.user_editor,
        settings=parts.live_settings,
        tokens=parts.tokens,
        passwords=parts.passwords,
        login_throttle=parts.login_throttle,
        audit=parts.login_audit,
        refresh_life=refresh_life,
        wait_for_propagation=parts.pipeline.wait_for_propagation,
    )
    live = LiveContext(
        parts.hub,
        parts.pipeline.authenticator,
        parts.revocations,
        parts.pipeline.limits,
        parts.pipeline.options.origins,
        actions,
    )
    people = PeopleContext(boards, parts.people)
    own_data = OwnDataContext(boards, parts.accounts, parts.readers)
    health = HealthContext(parts.missing, parts.degraded)
    index = IndexContext(parts.index, parts.projection)
    stats = StatsContext(parts.throughput, parts.status, parts.writer, parts.hub, parts.projection, parts.catalogue)
    of_users = (actions, boards, people, accounts, own_data, live, parts.tokens)
    of_operators = (parts.admin, parts.keyring, parts.passwords, index, stats)
    return *of_users, *of_operators, health, api_documents()
