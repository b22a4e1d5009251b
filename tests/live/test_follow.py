"""Commits followed to their end on a sandbox: what a person would be told, and with which exit code it ends.

One sandbox process and one workspace serve the file; every test has an environment or a deployment of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.domain.rollout import Flag, Stage
from backends.gitops.intents import CreateEnvironment, Delete, Pause, Resume
from backends.gitops.layout import Layer, LayerKind
from backends.live.follow import Follower
from backends.live.following import FollowKind, FollowOptions
from tests.live.stage import Play, id_of, notes, play, sandbox, stages, told


@pytest.fixture(scope="module")
def argo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with sandbox(tmp_path_factory.mktemp("sandbox") / "state", speed=40.0) as line:
        yield line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("follow")


@pytest.fixture
async def stage(argo: dict[str, Any], folder: Path) -> AsyncIterator[Play]:
    """The workspace, made by the first test that needs it, with a client on this test's loop."""
    found = play(argo["argocd_url"], Path(argo["token_file"]), argo["repo_url"], folder / "cache", slug="acme")
    await found.resume_or_set_up()
    try:
        yield found
    finally:
        found.repo.close()
        await found.argocd.close()


async def test_a_good_deploy_is_followed_from_commit_to_live(stage: Play) -> None:
    first = await stage.run(stage.deploy("good", "1.0"), id_of("good"))
    steps = await stage.run(stage.deploy("good", "1.1"), id_of("good"))

    assert Stage.COMMITTED is first[0].rollout.stage, told(first)
    assert (Stage.LIVE, 0) == (first[-1].rollout.stage, first[-1].verdict and first[-1].verdict.exit_code), told(first)
    assert [Stage.COMMITTED, Stage.SYNCING, Stage.ROLLED_OUT, Stage.LIVE] == stages(steps), told(steps)
    assert frozenset() == steps[-1].rollout.flags, told(steps)
    assert "asked Argo CD to look at good-dev-aaaaaa" in notes(steps)


@pytest.mark.parametrize(("tag", "says"), [("crash", "CrashLoopBackOff"), ("pull", "ImagePullBackOff")])
async def test_a_release_whose_pods_fail_ends_with_the_reason(stage: Play, tag: str, says: str) -> None:
    steps = await stage.run(stage.deploy(tag, tag), id_of(tag))

    assert Stage.DEGRADED is steps[-1].rollout.stage, told(steps)
    assert steps[-1].verdict is not None
    assert 1 == steps[-1].verdict.exit_code
    assert says in steps[-1].verdict.sentence, told(steps)


async def test_a_release_that_never_gets_ready_times_out_and_says_where_it_stands(stage: Play) -> None:
    steps = await stage.run(stage.deploy("never", "never"), id_of("never"), options=FollowOptions(timeout=1.5))

    assert steps[-1].verdict is not None
    assert 4 == steps[-1].verdict.exit_code, told(steps)
    assert "RolledOut" in steps[-1].verdict.sentence


async def test_a_pause_ends_when_the_live_spec_says_so_and_a_resume_too(stage: Play) -> None:
    await stage.run(stage.deploy("paused", "1.0"), id_of("paused"))
    layer = Layer(LayerKind.DEPLOYMENT, id_of("paused"))

    paused = await stage.run(Pause(target=layer, reason="load test"), id_of("paused"), kind=FollowKind.SPEC)
    held = await stage.run(stage.deploy("paused", "1.1"), id_of("paused"))
    resumed = await stage.run(Resume(target=layer), id_of("paused"), kind=FollowKind.SPEC)

    assert [0, 3, 0] == [steps[-1].verdict.exit_code for steps in (paused, held, resumed) if steps[-1].verdict], told(held)
    assert Stage.PAUSED is held[-1].rollout.stage, told(held)
    assert "load test" in held[-1].rollout.reason


async def test_a_manual_environment_waits_for_somebody(stage: Play) -> None:
    await stage.run(CreateEnvironment(name="manual", automated=False), kind=FollowKind.ENVIRONMENT, environment="manual")
    steps = await stage.run(stage.deploy("good", "1.0", environment="manual"), id_of("good", "manual"))

    assert (Stage.DETECTED, 3) == (steps[-1].rollout.stage, steps[-1].verdict and steps[-1].verdict.exit_code), told(steps)
    assert Flag.NEEDS_YOU in steps[-1].rollout.flags


async def test_deleting_one_of_several_ends_with_gone(stage: Play) -> None:
    await stage.run(stage.deploy("stays", "1.0"), id_of("stays"))
    await stage.run(stage.deploy("goes", "1.0"), id_of("goes"))
    steps = await stage.run(Delete(id=id_of("goes")), id_of("goes"), kind=FollowKind.REMOVAL)

    assert (Stage.GONE, 0) == (steps[-1].rollout.stage, steps[-1].verdict and steps[-1].verdict.exit_code), told(steps)


async def test_deleting_the_last_one_is_refused_unless_the_environment_was_named(stage: Play) -> None:
    await stage.run(CreateEnvironment(name="last"), kind=FollowKind.ENVIRONMENT, environment="last")
    await stage.run(stage.deploy("good", "1.0", environment="last"), id_of("good", "last"))
    async with stage.follower() as follower:
        await follower.ready()
        written = await stage.write(Delete(id=id_of("good", "last")))
        assert written.commit is not None
        ids = [id_of("good", "last")]
        refused = [step async for step in follower.follow(written.commit, kind=FollowKind.REMOVAL, targets=ids)]
    pruned = await stage.follow(written.commit, *ids, kind=FollowKind.REMOVAL, options=FollowOptions(prune_manager=True))

    assert 3 == follower.exit_code, told(refused)
    assert "auto-sync will wipe out all resources" in refused[-1].rollout.reason
    assert (Stage.GONE, 0) == (pruned[-1].rollout.stage, pruned[-1].verdict and pruned[-1].verdict.exit_code), told(pruned)
    assert any("asked for its sync with prune" in note for note in notes(pruned)), told(pruned)


async def test_one_look_tells_what_the_feed_alone_does_not(stage: Play) -> None:
    await stage.run(stage.deploy("good", "1.0"), id_of("good"), options=FollowOptions())
    await stage.run(stage.deploy("seen", "crash"), id_of("seen"))
    async with stage.follower() as follower:
        found = await follower.look([id_of("good"), id_of("seen"), id_of("nobody")])

    assert (Stage.LIVE, Stage.DEGRADED) == (found[id_of("good")].rollout.stage, found[id_of("seen")].rollout.stage)
    assert "CrashLoopBackOff" in found[id_of("seen")].why.sentence
    assert None is found[id_of("nobody")].wanted


async def test_an_application_that_no_workspace_names_is_watched(stage: Play) -> None:
    async with Follower(argocd=stage.argocd, application=stage.key("tiphys-acme")) as follower:
        await follower.ready()
        async for step in follower.watch(stage.key("tiphys-acme")):
            if step.rollout.stage is Stage.LIVE:
                break

    assert ["tiphys-acme"] == [key.name for key in follower.store.snapshot.rows]


async def test_nothing_is_left_behind_when_following_is_stopped(stage: Play) -> None:
    before = asyncio.all_tasks()
    async with stage.follower() as follower:
        await follower.ready()
        written = await stage.write(stage.deploy("stop", "never"))
        assert written.commit is not None
        async for step in follower.follow(written.commit, targets=[id_of("stop")]):
            if step.rollout.stage is Stage.ROLLED_OUT:
                break

    assert before == asyncio.all_tasks()
