"""What a follower asks, when, and what ends its wait: against an Argo CD in memory, in virtual time."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.argocd.types import Event, ResourceTree, SyncWindow, SyncWindows
from backends.domain.ids import Sha
from backends.domain.rollout import Flag, Stage
from backends.errors import Conflict, Forbidden, NotFound, Unavailable
from backends.gitops.intents import Delete
from backends.gitops.repo import Repo
from backends.live.following import Followed, FollowKind
from tests.live import virtual
from tests.live.samples import key
from tests.live.scene import MANAGER, ROOT, WEB, Scene, deploy, operation, remote
from tests.live.stage import notes, stages, told


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    (folder / "home").mkdir()
    return remote(folder)


@pytest.fixture
def scene(workspace: Path, tmp_path: Path) -> Iterator[Scene]:
    """The workspace, Live in Argo CD."""
    copy = shutil.copytree(workspace, tmp_path / "remote.git")
    with Repo.open(str(copy), cache_dir=tmp_path / "cache") as repo:
        repo.fetch()
        found = Scene(repo)
        found.in_step()
        yield found


async def followed(scene: Scene, commit: Sha | None = None, *, kind: FollowKind = FollowKind.RELEASE, **options: Any) -> list[Followed]:
    """Push a release, or take the commit given, and follow it to its end."""
    async with scene.follower(**options) as follower:
        made = commit or scene.push(deploy("1.1"))
        return [step async for step in follower.follow(made, kind=kind, targets=[WEB])]


def run(scenario: Any) -> list[Followed]:
    steps: list[Followed] = virtual.run(scenario)
    return steps


def end(steps: list[Followed]) -> tuple[Stage, int | None]:
    return steps[-1].rollout.stage, steps[-1].verdict.exit_code if steps[-1].verdict else None


def test_a_revision_that_is_not_here_is_fetched(scene: Scene, tmp_path: Path) -> None:
    async def scenario() -> list[Followed]:
        async with scene.follower() as follower:
            ours = scene.push(deploy("1.1"))
            with Repo.open(scene.repo.url, cache_dir=tmp_path / "rival") as rival:
                rival.fetch()
                theirs = Scene(rival).push(_Note())
            scene.argocd.after[f"get {WEB} normal"] = scene.web(theirs, at=2)
            return [step async for step in follower.follow(ours, targets=[WEB])]

    steps = run(scenario())

    assert (Stage.LIVE, 0) == end(steps), told(steps)
    assert [Stage.COMMITTED, Stage.LIVE] == stages(steps), told(steps)


def test_an_error_of_before_the_push_is_no_verdict_until_it_was_compared_again(scene: Scene) -> None:
    broken = {"conditions": [{"type": "ComparisonError", "message": "Error: broken"}]}
    scene.show(scene.web("main", sync="Unknown", **broken))

    async def scenario() -> list[Followed]:
        scene.argocd.refusals[f"get {WEB} normal"] = Unavailable("busy")
        async with scene.follower(timeout=60) as follower:
            commit = scene.push(deploy("1.1"))
            steps = []
            async for step in follower.follow(commit, targets=[WEB]):
                steps.append(step)
                if step.note:
                    scene.argocd.refusals.clear()  # the next refresh is answered, within the same second of Argo CD's clock
            return steps

    steps = run(scenario())

    assert (Stage.SYNC_FAILED, 1) == end(steps), told(steps)
    assert any("the error is older than the commit" in step.rollout.reason for step in steps), told(steps)
    assert 2 == scene.argocd.count(f"get {WEB} normal")


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [(NotFound("not found"), (Stage.MISSING, 1)), (Forbidden("permission denied", maybe_missing=True), (Stage.UNKNOWN, 3))],
)
def test_an_application_that_its_manager_should_have_brought_is_asked_for(
    scene: Scene, refusal: Exception, expected: tuple[Stage, int]
) -> None:
    del scene.argocd.truth[key(WEB)]
    commit = scene.push(deploy("1.1"))
    scene.show(scene.keeper(MANAGER, commit), scene.keeper(ROOT, commit))
    scene.argocd.refusals = {f"get {WEB}{how}": refusal for how in ("", " normal")}  # type: ignore[misc]
    steps = run(followed(scene, commit))

    assert expected == end(steps), told(steps)


def test_an_out_of_sync_row_without_an_operation_is_asked_for_its_windows_once_a_minute(scene: Scene) -> None:
    commit = scene.push(deploy("1.1"))
    scene.show(scene.web(commit, sync="OutOfSync", applied=scene.first))
    steps = run(followed(scene, commit, timeout=130.0))

    assert (Stage.DETECTED, 4) == end(steps), told(steps)
    assert 3 == scene.argocd.count(f"windows {WEB}")

    scene.argocd.windows = SyncWindows(active_windows=(SyncWindow(kind="deny", schedule="0 8 * * *", duration="10h"),))
    assert (Stage.BLOCKED, 3) == end(run(followed(scene, commit)))


def test_pods_that_find_no_node_say_why_in_their_events(scene: Scene) -> None:
    commit = scene.push(deploy("1.1"))
    scene.show(scene.web(commit, health="Progressing"))
    pod = {"kind": "Pod", "name": "web-1", "uid": "web-1", "info": [{"name": "Status Reason", "value": "Pending"}, {"name": "Node"}]}
    owner = {"kind": "ReplicaSet", "name": "web", "uid": "rs", "parentRefs": [{"kind": "Deployment", "uid": "d", "name": "web"}]}
    pod |= {"parentRefs": [{"kind": "ReplicaSet", "uid": "rs", "name": "web"}], "createdAt": "2026-11-24T12:00:01Z"}
    scene.argocd.trees[key(WEB)] = msgspec.convert({"nodes": [owner, pod]}, ResourceTree)
    scene.argocd.object_events["web-1"] = (Event(reason="FailedScheduling", message="0/3 nodes are available: insufficient cpu"),)
    steps = run(followed(scene, commit, timeout=60.0))

    assert (Stage.ROLLED_OUT, 4) == end(steps), told(steps)
    assert "insufficient cpu" in steps[-1].rollout.reason
    assert Flag.ATTENTION in steps[-1].rollout.flags
    assert (1, 1) == (scene.argocd.count("events web-1"), scene.argocd.count(f"watch tree {WEB}"))


def test_without_a_stream_to_spare_the_tree_is_read_now_and_then(scene: Scene) -> None:
    commit = scene.push(deploy("1.1"))
    scene.show(scene.web(commit, health="Progressing"))
    steps = run(followed(scene, commit, timeout=9.0, streams=0))

    assert (Stage.ROLLED_OUT, 4) == end(steps), told(steps)
    assert 5 == scene.argocd.count(f"tree {WEB}")


def stuck(scene: Scene) -> Sha:
    """Automated sync gave up on the commit before ours."""
    commit = scene.push(deploy("1.1"))
    given_up = {"type": "SyncError", "message": f"Failed last sync attempt to [{scene.first}]: one or more tasks failed"}
    failed = operation(scene.first, "Failed")
    scene.show(scene.web(commit, sync="OutOfSync", applied="0" * 40, conditions=[given_up], operationState=failed))
    return commit


def test_an_automated_sync_that_gave_up_on_an_older_commit_is_set_going_by_one_sync(scene: Scene) -> None:
    commit = stuck(scene)
    scene.argocd.after[f"sync {WEB}"] = scene.web(commit, at=5)
    steps = run(followed(scene, commit))

    assert (Stage.LIVE, 0) == end(steps), told(steps)
    assert 1 == scene.argocd.count(f"sync {WEB}")
    assert any(Flag.STUCK in step.rollout.flags for step in steps), told(steps)


def test_a_sync_that_is_refused_ends_the_wait_and_one_that_meets_an_operation_waits_for_it(scene: Scene) -> None:
    commit = stuck(scene)
    scene.argocd.refusals[f"sync {WEB}"] = Forbidden("permission denied: applications, sync")
    refused = run(followed(scene, commit))
    scene.argocd.refusals[f"sync {WEB}"] = Conflict("another operation is already in progress")
    asked = scene.argocd.count(f"sync {WEB}")
    waiting = run(followed(scene, commit, timeout=25.0))

    assert (Stage.DETECTED, 3) == end(refused), told(refused)
    assert "permission denied" in (refused[-1].verdict.sentence if refused[-1].verdict else "")
    assert (Stage.DETECTED, 4) == end(waiting), told(waiting)
    assert 3 == scene.argocd.count(f"sync {WEB}") - asked


def test_what_is_not_proven_and_may_not_be_refreshed_is_not_called_live(scene: Scene) -> None:
    commit = scene.push(deploy("1.1"))
    app = scene.web(commit)
    annotations = dict.fromkeys(app.metadata.annotations or {}, "/charts/service/1.0.0")
    scene.show(msgspec.structs.replace(app, metadata=msgspec.structs.replace(app.metadata, annotations=annotations)))
    scene.argocd.refusals[f"get {WEB} hard"] = Forbidden("permission denied")
    steps = run(followed(scene, commit))

    assert (Stage.LIVE, 3) == end(steps), told(steps)
    assert Flag.UNPROVEN in steps[-1].rollout.flags
    assert any("you may not ask for one" in note for note in notes(steps)), told(steps)


def test_a_manager_that_may_not_be_refreshed_is_told_and_ends_nothing(scene: Scene) -> None:
    scene.argocd.refusals[f"get {MANAGER} normal"] = Forbidden("permission denied")
    scene.argocd.windows = SyncWindows()

    async def scenario() -> list[Followed]:
        async with scene.follower(timeout=20.0) as follower:
            commit = scene.push(Delete(id=WEB))
            return [step async for step in follower.follow(commit, kind=FollowKind.REMOVAL, targets=[WEB])]

    steps = run(scenario())

    assert (Stage.COMMITTED, 4) == end(steps), told(steps)
    assert any("whoever may see Argo CD's project tiphys-acme--dev can" in note for note in notes(steps)), told(steps)
    assert "you may not refresh it" in steps[-1].rollout.reason


def wipes_out(scene: Scene, attempted: str, commit: Sha) -> None:
    text = f"Skipping sync attempt to [{attempted}]: auto-sync will wipe out all resources"
    compared = {"status": "OutOfSync", "revision": commit}
    scene.show(scene.keeper(MANAGER, commit, sync=compared, conditions=[{"type": "SyncError", "message": text}]))


def test_the_last_deployment_goes_by_a_sync_with_prune_only_where_that_was_confirmed(scene: Scene) -> None:
    commit = scene.push(Delete(id=WEB))
    wipes_out(scene, commit, commit)
    refused = run(followed(scene, commit, kind=FollowKind.REMOVAL))

    assert (Stage.COMMITTED, 3) == end(refused), told(refused)
    assert [] == [call for call in scene.argocd.calls if call.startswith("sync")]

    async def scenario() -> list[Followed]:
        steps = []
        async with scene.follower(prune_manager=True) as follower:
            async for step in follower.follow(commit, kind=FollowKind.REMOVAL, targets=[WEB]):
                steps.append(step)
                if "asked for its sync with prune" in step.note:
                    scene.show(scene.keeper(MANAGER, commit))
                    scene.argocd.delete(key(WEB))
        return steps

    pruned = run(scenario())

    assert (Stage.GONE, 0) == end(pruned), told(pruned)
    assert 1 == scene.argocd.count(f"sync {MANAGER} prune")


def test_a_manager_that_refused_an_earlier_commit_is_not_synced_with_prune(scene: Scene) -> None:
    earlier = scene.first
    commit = scene.push(Delete(id=WEB))
    wipes_out(scene, earlier, commit)
    steps = run(followed(scene, commit, kind=FollowKind.REMOVAL, prune_manager=True, timeout=20.0))

    assert (Stage.COMMITTED, 4) == end(steps), told(steps)
    assert [] == [call for call in scene.argocd.calls if call.startswith("sync")]


def test_a_feed_that_comes_back_in_time_is_waited_for_and_one_that_does_not_ends_with_5(scene: Scene) -> None:
    async def scenario(back: bool) -> AsyncIterator[Followed]:
        async with scene.follower(timeout=30.0) as follower:
            commit = scene.push(deploy("1.1" if back else "1.2"))
            scene.argocd.refusing = Unavailable("connection refused")
            scene.argocd.restart()
            async for step in follower.follow(commit, targets=[WEB]):
                yield step
                if back and step.note.startswith("no news"):
                    scene.show(scene.web(commit, at=4))
                    scene.argocd.refusing = None

    async def steps_of(back: bool) -> list[Followed]:
        return [step async for step in scenario(back)]

    returned, away = run(steps_of(True)), run(steps_of(False))

    assert (Stage.LIVE, 0) == end(returned), told(returned)
    assert any(note.startswith("gap ") for note in notes(returned)), told(returned)
    assert 5 == end(away)[1], told(away)
    assert "connection refused" in (away[-1].verdict.sentence if away[-1].verdict else "")


def test_an_argo_cd_that_never_answers_is_unreachable_long_before_the_timeout(scene: Scene) -> None:
    scene.argocd.refusing = Unavailable("connection refused")

    async def scenario() -> tuple[list[Followed], float]:
        steps = await followed(scene)
        return steps, virtual.now().timestamp()

    steps, ended = virtual.run(scenario())

    assert 5 == end(steps)[1], told(steps)
    assert 15.0 <= ended - steps[0].at.timestamp() <= 17.0
    assert ["nobody has seen it yet: connection refused"] == [note for note in notes(steps) if "nobody" in note]


def test_a_release_that_renders_to_the_same_is_live_with_nothing_to_do(scene: Scene) -> None:
    commit = scene.push(deploy("1.1"))
    scene.argocd.after[f"get {WEB} normal"] = scene.web(commit, applied=scene.first, at=3)
    steps = run(followed(scene, commit))

    assert [Stage.COMMITTED, Stage.LIVE] == stages(steps), told(steps)
    assert frozenset((Flag.NOTHING_TO_DO,)) == steps[-1].rollout.flags


def test_a_comparison_error_under_the_old_spec_is_not_the_end(scene: Scene) -> None:
    broken = {"conditions": [{"type": "ComparisonError", "message": "Error: charts/service/1.0.0: no such file"}]}
    commit = scene.push(deploy("1.1"))
    old = scene.web("main", sync="Unknown", at=2, **broken)
    spec = {**old.spec, "source": {**old.spec["source"], "path": "charts/service/0.9.0"}}

    async def scenario() -> list[Followed]:
        steps = []
        async with scene.follower(timeout=60.0) as follower:
            scene.show(msgspec.structs.replace(old, spec=spec))
            async for step in follower.follow(commit, targets=[WEB]):
                steps.append(step)
                if step.rollout.stage is Stage.SYNC_FAILED:
                    scene.show(scene.web(commit, at=9))
        return steps

    steps = run(scenario())

    assert (Stage.LIVE, 0) == end(steps), told(steps)


class _Note(msgspec.Struct, frozen=True):
    """A commit that concerns no deployment."""

    def apply(self, tree: Any) -> Any:
        return tree.with_file("NOTES.md", b"hello\n")

    def describe(self, before: Any, after: Any) -> Any:
        from backends.gitops.intent import Description

        return Description("a note")
