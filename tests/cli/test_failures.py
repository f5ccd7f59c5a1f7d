"""Failures of a command: one line for what an operator can fix, a traceback for a defect."""

from __future__ import annotations

import pytest

from laurels import cli
from laurels.domain.errors import Code, LaurelsError
from laurels.start_errors import StartError, flatten

AWAY = LaurelsError(Code.DATABASE_UNAVAILABLE, "The ledger can't be reached.")


@pytest.mark.parametrize(
    "failure",
    [
        StartError("the port is taken"),
        ExceptionGroup("tasks", [StartError("the port is taken")]),
        ExceptionGroup("tasks", [ExceptionGroup("tasks of tasks", [StartError("the port is taken"), AWAY])]),
    ],
)
def test_a_known_failure_is_one_line_however_deep_in_groups(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tasks fail in groups, groups of tasks in groups of groups: the operator reads the cause alone."""

    def fail(**_: object) -> None:
        raise failure

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "laurels: the port is taken\n"


def test_a_mistake_of_ours_beside_a_known_failure_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the defect would stay hidden."""

    def fail(**_: object) -> None:
        raise ExceptionGroup("tasks", [StartError("the port is taken"), ZeroDivisionError()])

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(ExceptionGroup):
        cli.main()


def test_groups_are_flattened_in_order() -> None:
    """Also groups that hold a BaseException that is not an Exception."""
    inner = [ValueError("a"), KeyboardInterrupt(), ValueError("b")]
    group = BaseExceptionGroup("all", [inner[0], BaseExceptionGroup("some", inner[1:])])
    assert flatten(group) == inner
    assert flatten(inner[0]) == [inner[0]]
