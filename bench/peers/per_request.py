"""POST /api/actions/complete, one transaction per request.

    python -m bench.peers.per_request DATABASE-URL REDIS-URL

Creates its tables, prints its address and serves. Users, action types and signing keys come from the stage's database;
it writes only its own tables.
"""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from pydantic import BaseModel, Field
from redis.asyncio import Redis
from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HOST = "127.0.0.1"
CONNECTIONS = 16
"""Both more and fewer made it slower on two cores."""
BOARD = "board"
CLAIMS = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": "laurels"},
    aud={"essential": True, "value": "laurels"},
    sub={"essential": True},
    exp={"essential": True},
)


class Tables(DeclarativeBase):
    pass


class Player(Tables):
    __tablename__ = "peer_players"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    status: Mapped[str] = mapped_column(default="active")
    score: Mapped[int] = mapped_column(BigInteger, default=0)


class ActionType(Tables):
    __tablename__ = "peer_action_types"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    base_score: Mapped[int]


class Action(Tables):
    __tablename__ = "peer_actions"
    __table_args__ = (UniqueConstraint("user_id", "action_identifier"),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(Player.id))
    action_type_id: Mapped[int] = mapped_column(ForeignKey(ActionType.id))
    action_identifier: Mapped[str]
    score_earned: Mapped[int]
    new_score: Mapped[int] = mapped_column(BigInteger)
    completed_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC).replace(tzinfo=None))


class Completion(BaseModel):
    action_type: str = Field(min_length=1, max_length=64)
    action_identifier: str = Field(min_length=1, max_length=128)


class Receipt(BaseModel):
    action_id: int
    action_type: str
    action_identifier: str
    score_earned: int
    new_score: int
    completed_at: datetime
    rank: int
    previous_rank: int | None


def application(engine: AsyncEngine, redis: Redis) -> FastAPI:
    keys = KeySet([])
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    async def user(authorization: Annotated[str, Header()]) -> int:
        try:
            token = jwt.decode(authorization.removeprefix("Bearer "), keys, algorithms=["Ed25519"])
            CLAIMS.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise HTTPException(401, "token invalid") from error
        return int(token.claims["sub"])

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Tables.metadata.create_all)
            await connection.exec_driver_sql("INSERT INTO peer_players SELECT id, status, 0 FROM users")
            await connection.exec_driver_sql(
                "INSERT INTO peer_action_types SELECT id, name, base_score FROM action_types"
            )
            told = await connection.exec_driver_sql("SELECT private_jwk FROM signing_keys")
            keys.keys.extend(OKPKey.import_key(row.private_jwk) for row in told)
        yield
        await redis.aclose()
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/api/actions/complete", status_code=201)
    async def complete(
        wanted: Completion,
        user_id: Annotated[int, Depends(user)],
        session: Annotated[AsyncSession, Depends(session)],
    ) -> Receipt:
        try:
            action = await _award(session, user_id, wanted)
        except IntegrityError as error:
            raise HTTPException(409, "completed before") from error
        async with redis.pipeline(transaction=True) as pipe:
            pipe.zrevrank(BOARD, user_id)
            pipe.zadd(BOARD, {str(user_id): action.new_score})
            pipe.zrevrank(BOARD, user_id)
            before, _, after = await pipe.execute()
        return Receipt(
            action_id=action.id,
            action_type=wanted.action_type,
            action_identifier=wanted.action_identifier,
            score_earned=action.score_earned,
            new_score=action.new_score,
            completed_at=action.completed_at,
            rank=after + 1,
            previous_rank=None if before is None else before + 1,
        )

    return app


async def _award(session: AsyncSession, user_id: int, wanted: Completion) -> Action:
    """Run the one transaction. Raises HTTPException, or IntegrityError for an identifier that was used."""
    kind = await session.scalar(select(ActionType).where(ActionType.name == wanted.action_type))
    if kind is None:
        raise HTTPException(404, "no such action type")
    score = await session.scalar(
        update(Player)
        .where(Player.id == user_id, Player.status == "active")
        .values(score=Player.score + kind.base_score)
        .returning(Player.score)
    )
    if score is None:
        raise HTTPException(403, "not active")
    action = Action(
        user_id=user_id,
        action_type_id=kind.id,
        action_identifier=wanted.action_identifier,
        score_earned=kind.base_score,
        new_score=score,
    )
    session.add(action)
    await session.commit()
    return action


def main(database_url: str, redis_url: str) -> None:
    engine = create_async_engine(
        database_url.replace("postgresql:", "postgresql+asyncpg:", 1), pool_size=CONNECTIONS, max_overflow=0
    )
    app = application(engine, Redis.from_url(redis_url))
    listening = socket.create_server((HOST, 0), backlog=2048)
    server = _Server(uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning", access_log=False))
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Prints its address when it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets
        sys.stdout.write(f"http://{HOST}:{sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
