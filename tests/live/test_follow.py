"""Commits followed to their end, on a sandbox and on a real server: what a person would be told, and with which exit code it ends.

One Argo CD and one workspace serve the file; every test has an environment or a deployment of its own. The real one takes part when
`TIPHYS_E2E_ARGOCD_URL`, `TIPHYS_E2E_ARGOCD_TOKEN_FILE` and `TIPHYS_E2E_REPO` name it.
"""

import asyncio
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from backends.argocd.endpoint import Endpoint, Timeouts
from backends.argocd.http import connect
from backends.domain.rollout import Flag, Stage
from backends.gitops.intents import CreateEnvironment, Delete, Deploy, Pause, Resume, Target
from backends.gitops.layout import Layer, LayerKind
from backends.live.follow import Follower
from backends.live.following import FollowKind, FollowOptions, FollowTimes
from tests.live.stage import Play, id_of, notes, play, ready_line, sandbox, stages, start_sandbox, told


class Where(NamedTuple):
    """An Argo CD, and a repository that is nobody else's (of a real one: a branch)."""

    argocd_url: str
    token_file: Path
    repo_url: str
    slug: str
    branch: str
    real: bool


@pytest.fixture(scope="module", params=["sandbox", pytest.param("real", marks=[pytest.mark.real, pytest.mark.xdist_group("real")])])
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Where]:
    if request.param == "sandbox":
        with sandbox(tmp_path_factory.mktemp("sandbox") / "state", speed=20.0) as line:
            yield Where(line["argocd_url"], Path(line["token_file"]), line["repo_url"], "acme", "main", False)
        return
    try:
        url, repo = os.environ["TIPHYS_E2E_ARGOCD_URL"], os.environ["TIPHYS_E2E_REPO"]
        token_file = Path(os.environ["TIPHYS_E2E_ARGOCD_TOKEN_FILE"])
    except KeyError as missing:
        pytest.skip(f"needs a real Argo CD ({missing.args[0]} is not set)")
    name = f"f-{uuid.uuid4().hex[:6]}"
    found = Where(url, token_file, repo, name, name, True)
    try:
        yield found
    finally:
        asyncio.run(_take_down(found, tmp_path_factory.mktemp("end")))


async def _take_down(where: Where, cache: Path) -> None:
    """Nothing of the play stays in Argo CD or in the repository."""
    left = play(where.argocd_url, where.token_file, where.repo_url, cache, slug=where.slug, branch=where.branch)
    try:
        await left.clean_up()
    finally:
        left.repo.close()
        await left.argocd.close()
    push = ["git", "push", "--quiet", where.repo_url, f":refs/heads/{where.branch}"]
    subprocess.run(push, check=True, cwd=left.repo.folder)


@pytest.fixture(scope="module")
def folder(where: Where, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(f"follow-{where.slug}")


@pytest.fixture
async def stage(where: Where, folder: Path) -> AsyncIterator[Play]:
    """The workspace, made by the first test that needs it, with a client on this test's loop."""
    url, token, repo, slug, branch, real = where
    found = play(url, token, repo, folder / "cache", slug=slug, branch=branch, real=real)
    await found.resume_or_set_up()
    try:
        yield found
    finally:
        found.repo.close()
        await found.argocd.close()


async def test_a_good_deploy_is_followed_from_commit_to_live(stage: Play) -> None:
    first = await stage.run(stage.deploy("new", "1.0"), id_of("new"))
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
    steps = await stage.run(stage.deploy("never", "never"), id_of("never"), options=FollowOptions(timeout=15.0 if stage.real else 1.5))

    assert steps[-1].verdict is not None
    assert 4 == steps[-1].verdict.exit_code, told(steps)
    assert "RolledOut" in steps[-1].verdict.sentence


async def test_a_pause_ends_when_the_live_spec_says_so_and_a_resume_too(stage: Play) -> None:
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


async def test_an_environments_options_reach_its_manager_without_polling(stage: Play) -> None:
    await stage.run(CreateEnvironment(name="later"), kind=FollowKind.ENVIRONMENT, environment="later")
    steps = await stage.run(CreateEnvironment(name="later", order=77), kind=FollowKind.ENVIRONMENT, environment="later")

    assert 0 == (steps[-1].verdict and steps[-1].verdict.exit_code), told(steps)
    assert f"asked Argo CD to look at {stage.workspace.root_name}" in notes(steps), told(steps)


async def test_deleting_one_of_several_ends_with_gone(stage: Play) -> None:
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


async def test_a_hook_is_waited_for_and_named(stage: Play) -> None:
    steps = await stage.run(stage.deploy("hook", "1.1"), id_of("hook"))

    assert [Stage.COMMITTED, Stage.SYNCING, Stage.ROLLED_OUT, Stage.LIVE] == stages(steps), told(steps)
    assert any("PreSync hook batch/Job/hook-dev-aaaaaa-migrate" in step.rollout.reason for step in steps), told(steps)
    assert frozenset() == steps[-1].rollout.flags


async def test_a_failing_hook_is_retried_before_it_has_failed(stage: Play) -> None:
    steps = await stage.run(stage.deploy("retry", "1.1"), id_of("retry"))

    assert (Stage.SYNC_FAILED, 1) == (steps[-1].rollout.stage, steps[-1].verdict and steps[-1].verdict.exit_code), told(steps)
    assert "retry-dev-aaaaaa-migrate" in steps[-1].rollout.reason
    assert any("attempt 2 of 2" in step.rollout.reason for step in steps), told(steps)
    assert any(Flag.ATTENTION in step.rollout.flags for step in steps), told(steps)


@pytest.mark.parametrize("full_sync", [False, True])
async def test_hooks_that_a_push_during_an_operation_skipped_are_told_or_run(stage: Play, full_sync: bool) -> None:
    app = "busy" if full_sync else "skip"
    async with stage.follower(FollowOptions(full_sync=full_sync)) as follower:
        await follower.ready()
        first = await stage.write(stage.deploy(app, "1.1"))
        assert first.commit is not None
        async for step in follower.follow(first.commit, targets=[id_of(app)]):
            if "hook" in step.rollout.progress:
                break
        second = await stage.write(stage.deploy(app, "1.2"))
        assert second.commit is not None
        steps = [step async for step in follower.follow(second.commit, targets=[id_of(app)], has_hooks={id_of(app): True})]

    assert 0 == follower.exit_code, told(steps)
    assert any(Stage.DETECTED is step.rollout.stage for step in steps), told(steps)
    assert any(Flag.HOOKS_SKIPPED in step.rollout.flags for step in steps), told(steps)
    if full_sync:
        assert "hooks were skipped: asked for a full sync" in notes(steps)
        assert frozenset() == steps[-1].rollout.flags, told(steps)
    else:
        assert steps[-1].verdict is not None
        assert "hooks were skipped" in steps[-1].verdict.warning, told(steps)


async def test_the_old_spec_at_the_new_revision_is_not_taken_for_live(stage: Play) -> None:
    tree = stage.repo.tree()
    chart = {path.replace("/1.0.0/", "/1.1.0/"): tree.read(path) or b"" for path in tree.paths("charts/service/1.0.0")}
    await stage.push(chart)
    target = Target(id=id_of("spec"), environment="dev", cluster="in-cluster")
    async with stage.follower() as follower:
        await follower.ready()
        written = await stage.write(Deploy(app="spec", targets=(target,), chart_version="1.1.0"))
        assert written.commit is not None
        await stage.argocd.get_application(stage.key(id_of("spec")), refresh="normal")  # the child before its Manager
        steps = [step async for step in follower.follow(written.commit, targets=[id_of("spec")])]

    assert 0 == follower.exit_code, told(steps)
    assert any("has not applied application.yaml yet (source.path" in step.rollout.reason for step in steps), told(steps)
    assert f"asked Argo CD to look at {stage.workspace.manager_name('dev')}" in notes(steps)
    assert "asked Argo CD to look at spec-dev-aaaaaa" in notes(steps)


async def test_a_file_outside_generate_paths_is_proven_by_a_hard_refresh(stage: Play) -> None:
    folder = "deployments/dev/outside/outside-dev-aaaaaa"
    manifest = (stage.repo.tree().read(f"{folder}/application.yaml") or b"").decode()
    last = f'        - "/{folder}/values.release.yaml"\n'
    assert last in manifest
    manifest = manifest.replace(last, f'{last}        - "/extra/outside.yaml"\n')
    await stage.push({f"{folder}/application.yaml": manifest.encode(), "extra/outside.yaml": b"replicas: 1\n"}, id_of("outside"))
    steps = await stage.push({"extra/outside.yaml": b"replicas: 2\n"}, id_of("outside"))

    assert (Stage.LIVE, 0) == (steps[-1].rollout.stage, steps[-1].verdict and steps[-1].verdict.exit_code), told(steps)
    assert "manifest-generate-paths misses a file that changed: asked for a hard refresh" in notes(steps), told(steps)
    assert "2/2 ready" == steps[-1].rollout.progress, told(steps)


async def test_a_newer_release_of_the_same_deployment_ends_the_wait(stage: Play) -> None:
    async with stage.follower() as follower:
        await follower.ready()
        written = await stage.write(stage.deploy("newer", "never"))
        assert written.commit is not None
        steps = []
        async for step in follower.follow(written.commit, targets=[id_of("newer")]):
            steps.append(step)
            if len(steps) == 1:
                await stage.write(stage.deploy("newer", "1.2"))

    assert (Stage.SUPERSEDED, 1) == (steps[-1].rollout.stage, follower.exit_code), told(steps)
    assert "Ada Lovelace is newer" in steps[-1].rollout.reason


async def test_an_argo_cd_that_cannot_be_reached_ends_with_5(stage: Play, folder: Path) -> None:
    async with AsyncExitStack() as stack:
        away = connect(Endpoint(url="http://127.0.0.1:1", timeouts=Timeouts(connect=0.5)))
        stack.push_async_callback(away.close)
        options = FollowOptions(times=FollowTimes(unreachable=1.0))
        follower = await stack.enter_async_context(Follower(argocd=away, repo=stage.repo, workspace=stage.workspace, options=options))
        status = await follower.ready()
        written = await stage.write(stage.deploy("away", "1.0"))
        assert written.commit is not None
        steps = [step async for step in follower.follow(written.commit, targets=[id_of("away")])]

    assert 5 == follower.exit_code, told(steps)
    assert status.error
    assert any(note.startswith("nobody has seen it yet") for note in notes(steps)), told(steps)


async def test_a_server_that_is_killed_and_comes_back_is_followed_on(tmp_path: Path) -> None:
    process = start_sandbox(tmp_path / "state")
    line = ready_line(process)
    stage = play(line["argocd_url"], Path(line["token_file"]), line["repo_url"], tmp_path / "cache", slug="acme")
    try:
        await stage.set_up(CreateEnvironment(name="dev"), apps=("web",))
        async with stage.follower() as follower:
            await follower.ready()
            written = await stage.write(stage.deploy("web", "slow"))
            assert written.commit is not None
            steps = []
            async for step in follower.follow(written.commit, targets=[id_of("web")]):
                steps.append(step)
                if Stage.ROLLED_OUT is step.rollout.stage and line["pid"] == process.pid:
                    process.kill()
                if step.note.startswith("no news"):
                    process = start_sandbox(tmp_path / "state", arguments=("--port", line["argocd_url"].rpartition(":")[2]))
    finally:
        process.kill()
        process.wait()
        stage.repo.close()
        await stage.argocd.close()

    assert 0 == follower.exit_code, told(steps)
    assert any(Flag.STALE in step.rollout.flags for step in steps), told(steps)
    assert any(note.startswith("gap ") for note in notes(steps)), told(steps)


async def test_one_look_tells_what_the_feed_alone_does_not(stage: Play) -> None:
    await stage.run(stage.deploy("seen", "crash"), id_of("seen"))
    async with stage.follower() as follower:
        found = await follower.look([id_of("good"), id_of("seen"), id_of("nobody")])

    assert (Stage.LIVE, Stage.DEGRADED) == (found[id_of("good")].rollout.stage, found[id_of("seen")].rollout.stage)
    assert "CrashLoopBackOff" in found[id_of("seen")].why.sentence
    assert None is found[id_of("nobody")].wanted


async def test_an_application_that_no_workspace_names_is_watched(stage: Play) -> None:
    async with Follower(argocd=stage.argocd, application=stage.key(stage.workspace.root_name)) as follower:
        await follower.ready()
        async for step in follower.watch(stage.key(stage.workspace.root_name)):
            if step.rollout.stage is Stage.LIVE:
                break

    assert [stage.workspace.root_name] == [key.name for key in follower.store.snapshot.rows]


async def test_nothing_is_left_behind_when_following_is_stopped(stage: Play) -> None:
    before = asyncio.all_tasks()
    async with stage.follower() as follower:
        await follower.ready()
        written = await stage.write(stage.deploy("stop", "never"))
        assert written.commit is not None
        steps = follower.follow(written.commit, targets=[id_of("stop")])  # held: nobody but the follower can end it
        async for step in steps:
            if step.rollout.stage is Stage.ROLLED_OUT:
                break

    assert before == asyncio.all_tasks()
