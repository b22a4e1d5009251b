"""What Git wants of a deployment: by its newest release, by a followed commit, and for lists of all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.domain.app import App, AppImage, Chart
from backends.domain.ids import DeploymentId, Sha, mint_change_id
from backends.domain.record import Image
from backends.errors import NotFound
from backends.gitops import catalog
from backends.gitops.history import last_changes
from backends.gitops.intent import Intent
from backends.gitops.intents import CreateApp, CreateEnvironment, Delete, Deploy, EditValues, Init, Pause, Resume, Target
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.repo import Repo
from backends.gitops.values import parse_edit
from backends.gitops.writer import write
from backends.live.wanted import places_at, wanted_all, wanted_at, wanted_now, wanted_of
from tests.gitops.remotes import bare, commit

WEB, API = DeploymentId("web-dev-aaaaaa"), DeploymentId("api-dev-aaaaaa")
FOLDER = "deployments/dev/web/web-dev-aaaaaa"
OWN = Layer(LayerKind.DEPLOYMENT, WEB)
SHARED = Layer(LayerKind.ENVIRONMENT, "dev")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return bare(tmp_path / "remote.git")


@pytest.fixture
def repo(remote: Path, tmp_path: Path) -> Iterator[Repo]:
    """A workspace with one environment and two deployments."""
    with Repo.open(str(remote), cache_dir=tmp_path / "cache") as found:
        push(found, Init(slug="acme", id="01JD0000000000000000000000", repo_url="https://git.example.test/acme.git"))
        push(found, CreateEnvironment(name="dev"))
        for name in ("web", "api"):
            chart = Chart(path="charts/service", version="1.0.0")
            push(found, CreateApp(app=App(name=name, chart=chart, images={"main": AppImage(repository="x")})))
            push(found, deploy(name, "1.0"))
        yield found


def push(repo: Repo, intent: Intent) -> Sha:
    commit = write(repo, intent, change=mint_change_id()).commit
    assert commit is not None
    return commit


def deploy(app: str, tag: str) -> Deploy:
    target = Target(id=DeploymentId(f"{app}-dev-aaaaaa"), environment="dev", cluster="in-cluster", new=True)
    return Deploy(app=app, targets=(target,), images={"main": Image(repository="registry.example.test/x", tag=tag)})


def edit(layer: Layer, text: str) -> EditValues:
    return EditValues(layer=layer, edits=(parse_edit(text),))


def test_the_newest_release_is_wanted_with_the_files_it_changed_and_argo_cd_reads(repo: Repo) -> None:
    made = push(repo, deploy("web", "1.1"))
    push(repo, deploy("api", "1.1"))
    found = wanted_of(repo, repo.tree(), WEB)

    assert made == found.commit
    assert (f"{FOLDER}/values.release.yaml",) == found.files
    assert ["acme--dev"] == [spec["project"] for spec in found.specs]
    assert (False, True, None) == (found.removed, found.automated, found.superseded_by)


def test_a_shared_layer_that_changed_later_is_what_is_wanted_of_all_who_read_it(repo: Repo) -> None:
    made = push(repo, edit(SHARED, "replicas=2"))
    found = wanted_now(repo, [WEB, API, DeploymentId("nobody-dev-aaaaaa")])

    assert {WEB: made, API: made} == {id: one.commit for id, one in found.items()}
    assert ("environments/dev/values.yaml",) == found[WEB].files


def test_a_followed_commit_is_superseded_by_a_newer_release_of_the_same_deployment_alone(repo: Repo) -> None:
    made = push(repo, deploy("web", "1.1"))
    push(repo, deploy("api", "1.1"))
    push(repo, edit(OWN, "replicas=3"))
    before = wanted_of(repo, repo.tree(), WEB, commit=made)
    newer = push(repo, deploy("web", "1.2"))
    after = wanted_of(repo, repo.tree(), WEB, commit=made)

    assert None is before.superseded_by
    assert (made, newer, "Ada Lovelace") == (after.commit, after.superseded_by, after.superseded_who)


def test_the_specs_of_later_commits_are_wanted_too(repo: Repo) -> None:
    made = push(repo, deploy("web", "1.1"))
    push(repo, Pause(target=OWN, reason="load test"))
    paused = wanted_of(repo, repo.tree(), WEB, commit=made)
    push(repo, Resume(target=OWN))
    resumed = wanted_of(repo, repo.tree(), WEB, commit=made)

    assert [None, False] == [spec["syncPolicy"]["automated"].get("enabled") for spec in paused.specs]
    assert [None, False, None] == [spec["syncPolicy"]["automated"].get("enabled") for spec in resumed.specs]
    assert (True, "load test", "Ada Lovelace") == (paused.paused, paused.paused_reason, paused.paused_by)
    assert not resumed.paused


@pytest.mark.parametrize("layer", [OWN, SHARED])
def test_a_pause_and_its_end_are_no_releases(repo: Repo, layer: Layer) -> None:
    made = push(repo, deploy("web", "1.1"))
    push(repo, Pause(target=layer, reason="load test"))
    paused = wanted_of(repo, repo.tree(), WEB)
    push(repo, Resume(target=layer))
    resumed = wanted_of(repo, repo.tree(), WEB)

    assert [made, made] == [paused.commit, resumed.commit]
    assert [(True, False), (False, None)] == [
        (one.paused, one.specs[0]["syncPolicy"]["automated"].get("enabled")) for one in (paused, resumed)
    ]


def test_an_environment_that_is_paused_pauses_its_deployments(repo: Repo) -> None:
    push(repo, Pause(target=SHARED, reason="freeze"))
    found = wanted_of(repo, repo.tree(), API)

    assert (True, "freeze", "Ada Lovelace", True) == (found.paused, found.paused_reason, found.paused_by, found.automated)


def test_a_removal_is_wanted_of_the_deployment_that_the_commit_removes(repo: Repo) -> None:
    made = push(repo, Delete(id=WEB))
    found = wanted_at(repo, repo.tree(), [WEB, API], made)

    assert {WEB: True, API: False} == {id: one.removed for id, one in found.items()}
    assert "dev" == places_at(repo, made)[WEB].environment
    with pytest.raises(NotFound):
        wanted_at(repo, repo.tree(), [DeploymentId("nobody-dev-aaaaaa")], made)


def test_a_commit_that_changes_nothing_argo_cd_reads_has_no_files(repo: Repo, remote: Path) -> None:
    path = f"{FOLDER}/deployment.yaml"
    commit(remote, {path: (repo.tree().read(path) or b"") + b"# a note\n", "README.md": "hello\n"}, "a note")
    repo.fetch()

    assert () == wanted_at(repo, repo.tree(), [WEB], repo.require_head())[WEB].files


def test_lists_say_the_same_of_all_as_single_questions(repo: Repo) -> None:
    push(repo, deploy("api", "1.1"))
    push(repo, edit(OWN, "replicas=3"))
    push(repo, Pause(target=Layer(LayerKind.DEPLOYMENT, API), reason="load test"))
    push(repo, edit(Layer(LayerKind.APP, "web"), "replicas=4"))
    tree = repo.tree()

    found = wanted_all(repo, catalog.read(tree), tree, last_changes(repo))
    assert wanted_now(repo, [API, WEB]) == found
    assert "Ada Lovelace" == found[API].paused_by
