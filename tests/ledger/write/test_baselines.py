"""Learning what is usual: from what counted, of enough users, whatever a few of them do."""

from __future__ import annotations

from tests.ledger.conftest import add_users, running_ledger

from laurels.domain.actions import Submission
from laurels.domain.detectors import Baseline, DetectorEngine, Thresholds
from laurels.ledger.db.pool import Pool
from laurels.ledger.write import baselines


async def test_a_few_cheaters_do_not_move_what_is_usual(pool: Pool) -> None:
    """24 people do 3 lessons, one does 100 of which all but 10 are held: 3 a minute is usual."""
    await add_users(pool, 25)
    async with running_ledger(pool, detectors=DetectorEngine(thresholds=Thresholds(user_per_minute=10))) as ledger:
        assert await baselines.learn_baselines(pool) == {}
        people = [Submission(user, "lesson", f"i{n}") for user in range(1, 25) for n in range(3)]
        await ledger.writer.submit(people)
        await ledger.writer.submit([Submission(25, "lesson", f"i{n}") for n in range(100)])
        lesson = ledger.catalogue.types["lesson"].id
        learnt = await baselines.learn_baselines(pool)
    assert learnt == {lesson: Baseline(3, 30)}
    assert await pool.fetchval("SELECT count(*) FROM actions WHERE status = 'held'") == 90
