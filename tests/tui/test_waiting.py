"""What `--wait` and `watch` print: every news once, in a line for people or an object for machines."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from backends.domain.ids import DeploymentId
from backends.domain.rollout import Flag, Rollout, Stage
from backends.domain.verdict import Verdict
from backends.live.following import Followed
from tui.cli.output import Output
from tui.cli.waiting import told

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FAILED = "failed, attempt 2 of 5, next at 12:28: PreSync hook Job/web-migrate: it failed"


def step(
    second: int, stage: Stage, reason: str = "", *, flags: tuple[Flag, ...] = (), progress: str = "", code: int | None = None
) -> Followed:
    return Followed(
        at=AT + timedelta(seconds=second),
        deployment=DeploymentId("web-dev-aaaaaa"),
        rollout=Rollout(stage=stage, reason=reason, flags=frozenset(flags), progress=progress, since=AT + timedelta(seconds=second)),
        verdict=None if code is None else Verdict(exit_code=code, sentence="not there after 40 s"),
    )


def printed(*steps: Followed, form: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    async def given() -> AsyncIterator[Followed]:
        for one in steps:
            yield one

    asyncio.run(told(given(), Output(form=form)))
    return capsys.readouterr().out.splitlines()


def test_a_verdict_on_the_stage_that_is_shown_repeats_no_stage(capsys: pytest.CaptureFixture[str]) -> None:
    steps = (step(0, Stage.ROLLED_OUT, "0/1"), step(9, Stage.ROLLED_OUT, "0/1", code=4))

    assert ["RolledOut  0/1", "ended: not there after 40 s"] == [
        line.split("  ", 2)[2] for line in printed(*steps, form="table", capsys=capsys)
    ]
    assert ["stage", "verdict"] == [json.loads(line)["type"] for line in printed(*steps, form="json", capsys=capsys)]


def test_a_retry_is_spelled_out_once(capsys: pytest.CaptureFixture[str]) -> None:
    more = {"progress": "attempt 2 of 5"}
    steps = (
        step(0, Stage.SYNCING, FAILED, flags=(Flag.ATTENTION,), **more),
        step(2, Stage.SYNCING, FAILED, flags=(Flag.ATTENTION, Flag.RETRYING), **more),
    )

    assert [f"Syncing  {FAILED} · attention"] == [line.split("  ", 2)[2] for line in printed(*steps, form="table", capsys=capsys)]
    flags = [json.loads(line)["flags"] for line in printed(*steps, form="json", capsys=capsys)]
    assert [["attention"], ["attention", "retrying"]] == flags
