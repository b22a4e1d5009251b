"""The audit trail: what is read from trailers, from files, from squash merges, and from people's own commits; newest release of each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.domain.ids import DeploymentId, mint_change_id
from backends.engine import Cancel
from backends.errors import Cancelled
from backends.gitops import changes
from backends.gitops.history import history, last_changes
from backends.gitops.progress import Progress
from backends.gitops.repo import Repo
from tests.gitops.remotes import bare, commit, git

WEB, API = DeploymentId("web-prod-e5u6aa"), DeploymentId("api-dev-k3x7qa")
PLACES = {WEB: "deployments/prod/web/web-prod-e5u6aa", API: "deployments/dev/api/api-dev-k3x7qa"}


def release(tag: str) -> str:
    return f'images:\n  main: {{repository: "r.example/web", tag: "{tag}", digest: ""}}\nchart: {{version: "1.0.0"}}\n'


def trailers(op: str, *ids: str, **more: str) -> str:
    lines = [f"Tiphys-Op: {op}", *(f"Tiphys-Deployment: {id}" for id in ids), *(f"Tiphys-{key}: {value}" for key, value in more.items())]
    return "\n".join([*lines, f"Tiphys-Change: {mint_change_id()}"])


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    remote = bare(tmp_path / "remote.git", {"tiphys.yaml": "slug: acme\n"})
    commit(
        remote,
        {
            f"{place}/{name}": text
            for place in PLACES.values()
            for name, text in (("release.yaml", release("1")), ("deployment.yaml", "{}\n"))
        },
        f"deploy(web, api)\n\n{trailers('deploy', WEB, API, Image='r.example/web:1', Chart='service 1.0.0')}",
    )
    return remote


@pytest.fixture
def repo(remote: Path, tmp_path: Path) -> Iterator[Repo]:
    with Repo.open(str(remote), cache_dir=tmp_path / "cache") as repo:
        yield repo


def told(repo: Repo, **which: str) -> list[tuple[str, tuple[str, ...]]]:
    repo.fetch()
    return [(release.op, release.deployments) for release in history(repo, **which)]  # type: ignore[arg-type]


def test_a_release_is_what_its_trailers_say(remote: Path, repo: Repo) -> None:
    sha = commit(
        remote,
        {f"{PLACES[WEB]}/release.yaml": release("2")},
        "deploy(web → prod): 1 → 2\n\n"
        + trailers("deploy", WEB, Image="r.example/web:2", Chart="service 1.0.0", Reason="why not", From=f"{API}@1"),
        author="Grace <grace@example.org>",
    )
    repo.fetch()

    newest = next(history(repo))

    assert (sha, "Grace", "deploy(web → prod): 1 → 2", "deploy", (WEB,)) == (
        newest.commit,
        newest.author,
        newest.subject,
        newest.op,
        newest.deployments,
    )
    assert (("r.example/web:2",), "service 1.0.0", "why not", f"{API}@1", 26) == (
        newest.images,
        newest.chart,
        newest.reason,
        newest.promoted_from,
        len(newest.change),
    )
    assert int(git(remote, "log", "-1", "--format=%ct")) == newest.at.timestamp()


def test_a_persons_edit_is_told_with_what_the_files_say(remote: Path, repo: Repo) -> None:
    commit(remote, {f"{PLACES[WEB]}/release.yaml": release("9")}, "quick fix", author="Linus <l@example.org>")
    commit(remote, {"README.md": "hello"}, "docs")
    repo.fetch()

    docs, edit, *_ = history(repo)

    assert ("edit", (), "docs") == (docs.op, docs.deployments, docs.subject)
    assert ("edit", (WEB,), "Linus", ("r.example/web:9",), "1.0.0", "") == (
        edit.op,
        edit.deployments,
        edit.author,
        edit.images,
        edit.chart,
        edit.change,
    )


def test_a_squash_merge_is_several_releases(remote: Path, repo: Repo) -> None:
    message = f"Two things (#7)\n\n* deploy web\n\n{trailers('deploy', WEB, Image='w:3')}\n\n* pause api\n\n{trailers('pause', API)}\n"
    commit(
        remote,
        {
            f"{PLACES[WEB]}/release.yaml": release("3"),
            f"{PLACES[API]}/deployment.yaml": "paused: {}\n",
            "deployments/dev/x/x-dev-aaaaaa/values.yaml": "1",
        },
        message,
    )

    assert [("edit", ("x-dev-aaaaaa",)), ("pause", (API,)), ("deploy", (WEB,)), ("deploy", (WEB, API)), ("edit", ())] == told(repo)


def test_what_names_an_environment_reaches_what_it_changed(remote: Path, repo: Repo) -> None:
    files: dict[str, str | bytes | None] = {f"{PLACES[WEB]}/application.yaml": "{}\n", "environments/prod/environment.yaml": "{}\n"}
    commit(remote, files, f"pause(prod)\n\n{trailers('pause', Env='prod')}")

    assert ("pause", (WEB,)) == told(repo)[0]


def test_a_history_can_be_asked_for_by_deployment_app_and_environment(remote: Path, repo: Repo) -> None:
    commit(remote, {"apps/web/values.yaml": "a: 1\n"}, f"edit-values(web)\n\n{trailers('edit-values', App='web')}")
    commit(remote, {"environments/dev/values.yaml": "a: 1\n"}, "by hand")
    commit(remote, {f"{PLACES[API]}/values.yaml": "a: 1\n"}, f"edit-values(api)\n\n{trailers('edit-values', API)}")

    both = ("deploy", (WEB, API))
    assert [both] == told(repo, deployment=WEB)
    assert [("edit-values", (API,)), both] == told(repo, deployment=API)
    assert [("edit-values", ()), both] == told(repo, app="web")
    assert [("edit-values", (API,)), ("edit", ()), both] == told(repo, environment="dev")
    assert [("edit-values", (API,))] == told(repo, deployment=API)[:1]
    assert 2 == len(list(history(repo, limit=2)))
    assert [] == list(history(repo, limit=0))


def test_the_history_of_a_deployment_survives_its_removal(remote: Path, repo: Repo) -> None:
    commit(
        remote,
        dict.fromkeys((f"{PLACES[API]}/release.yaml", f"{PLACES[API]}/deployment.yaml")),
        f"delete(api)\n\n{trailers('delete', API)}",
    )

    assert ["delete", "deploy"] == [op for op, _ in told(repo, deployment=API)]
    assert ("delete", "deploy") == (last_changes(repo)[API].op, last_changes(repo)[WEB].op)


def test_a_pause_is_told_and_is_no_release(remote: Path, repo: Repo) -> None:
    commit(remote, {f"{PLACES[API]}/deployment.yaml": "paused: {}\n"}, f"pause(api)\n\n{trailers('pause', API)}")

    assert ["pause", "deploy"] == [op for op, _ in told(repo, deployment=API)]
    assert "deploy" == last_changes(repo)[API].op

    commit(remote, {f"{PLACES[API]}/application.yaml": "spec: {}\n"}, "self-heal off, by hand")
    repo.fetch()
    assert "deploy" == last_changes(repo)[API].op


def test_a_forged_trailer_moves_nobodys_newest_release(remote: Path, repo: Repo) -> None:
    commit(remote, {"README.md": "x"}, f"innocent\n\n{trailers('delete', WEB)}\nTiphys-Deployment: ../../etc\n")
    repo.fetch()

    assert ("delete", (WEB,)) == told(repo)[0]
    assert "deploy" == last_changes(repo)[WEB].op


def test_commits_of_a_merged_branch_are_told_and_the_merge_only_for_what_it_changed(remote: Path, repo: Repo) -> None:
    base = git(remote, "rev-parse", "main")
    git(remote, "update-ref", "refs/heads/side", base)
    commit(remote, {f"{PLACES[WEB]}/values.yaml": "side: 1\n"}, "side edit", branch="side")
    commit(remote, {f"{PLACES[API]}/values.yaml": "main: 1\n"}, "main edit")
    index = {"GIT_INDEX_FILE": str(remote / "merged")}
    git(remote, "read-tree", "main", env=index)
    blob = git(remote, "rev-parse", f"side:{PLACES[WEB]}/values.yaml")
    git(remote, "update-index", "--add", "--cacheinfo", f"100644,{blob},{PLACES[WEB]}/values.yaml", env=index)
    tree = git(remote, "write-tree", env=index)
    merge = git(
        remote, "commit-tree", "-p", "main", "-p", "side", "-m", "Merge side", tree, env={"GIT_COMMITTER_DATE": "2030-01-01T00:00:00Z"}
    )
    git(remote, "update-ref", "refs/heads/main", merge)

    assert [("edit", (WEB,)), ("edit", (API,))] == sorted(told(repo)[:2], reverse=True)
    assert "side edit" == last_changes(repo)[WEB].subject
    assert "main edit" == last_changes(repo)[API].subject


def test_hostile_words_are_display_copies(remote: Path, repo: Repo) -> None:
    commit(
        remote,
        {f"{PLACES[WEB]}/values.yaml": "1"},
        b"\x1b]52;c;x\x07 subject [/x] \xff\n\nTiphys-Op: de\x1b[31mploy\nTiphys-Reason: a\xe2\x80\xaeb\n".decode(
            "utf-8", "surrogateescape"
        ),
        author="E\x1b[2J <e@example.org>",
    )
    repo.fetch()
    newest = next(history(repo))

    shown = "".join((newest.subject, newest.op, newest.reason, newest.author))
    assert shown.isprintable()
    assert "subject [/x]" in newest.subject


def test_the_newest_releases_are_kept_and_moved_on(remote: Path, repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(changes, "_WORTH_KEEPING", 1)
    repo.fetch()
    first = dict(last_changes(repo))
    commit(remote, {f"{PLACES[WEB]}/values.yaml": "1"}, "edit web")
    other = Repo.open(repo.url, cache_dir=tmp_path / "cache")
    other.fetch()
    walked: list[int] = []
    real = other.log
    monkeypatch.setattr(other, "log", lambda **which: (walked.append(1) or one for one in real(**which)))

    moved = last_changes(other)

    assert (1, "edit web", first[API]) == (len(walked), moved[WEB].subject, moved[API])
    assert dict(moved) == dict(last_changes(Repo.open(repo.url, cache_dir=tmp_path / "cache")))


def test_a_rewritten_history_is_walked_anew(remote: Path, repo: Repo) -> None:
    commit(remote, {f"{PLACES[WEB]}/values.yaml": "1"}, "to be cut off")
    repo.fetch()
    assert "to be cut off" == last_changes(repo)[WEB].subject
    git(remote, "update-ref", "refs/heads/main", "main~1")
    commit(remote, {"README.md": "1"}, "instead")
    repo.fetch()

    assert "deploy" == last_changes(repo)[WEB].op


@pytest.mark.parametrize("damage", [b"", b"\x93", b"\x94\x01\xa1x\x90\x81\xa1a\x05"])
def test_a_damaged_cache_is_walked_anew(repo: Repo, tmp_path: Path, damage: bytes) -> None:
    repo.fetch()
    right = dict(last_changes(repo))
    repo.cache_file("changes").write_bytes(damage)

    assert right == dict(last_changes(Repo.open(repo.url, cache_dir=tmp_path / "cache")))


def test_an_empty_repository_has_no_history(tmp_path: Path) -> None:
    repo = Repo.open(str(bare(tmp_path / "empty.git")), cache_dir=tmp_path / "cache")
    repo.fetch()

    assert ([], {}) == (list(history(repo)), last_changes(repo))


def test_a_long_walk_tells_and_can_be_stopped(remote: Path, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_TOLD_EACH", 1)
    repo.fetch()
    steps: list[Progress] = []
    cancel = Cancel()

    def stop(step: Progress) -> None:
        steps.append(step)
        cancel.request()

    with pytest.raises(Cancelled):
        last_changes(repo, progress=stop, cancel=cancel)
    assert [Progress("read", "reading the history", 1)] == steps
