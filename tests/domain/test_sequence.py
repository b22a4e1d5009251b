"""Which orders of stages a followed release may have."""

import pytest

from backends.domain.sequence import fault
from backends.domain.stage import Stage

C, D, S, R, L, X = Stage.COMMITTED, Stage.DETECTED, Stage.SYNCING, Stage.ROLLED_OUT, Stage.LIVE, Stage.DEGRADED


@pytest.mark.parametrize(("stages", "end"), [([C, D, S, R, L], L), ([C, L], L), ([C, S, L], L), ([C, S, R, X], X), ([C, X, S, R, L], L)])
def test_an_allowed_order_has_no_fault(stages: list[Stage], end: Stage) -> None:
    assert "" == fault(stages, end=end)


@pytest.mark.parametrize(
    ("stages", "end", "said"),
    [
        ([], L, "began with nothing"),
        ([S, L], L, "began with Syncing"),
        ([C, S, R], L, "ended with RolledOut"),
        ([C, R, S, L], L, "Syncing came after RolledOut"),
        ([C, Stage.GONE, L], L, "Gone has no place"),
    ],
)
def test_another_order_is_named(stages: list[Stage], end: Stage, said: str) -> None:
    assert said in fault(stages, end=end)
