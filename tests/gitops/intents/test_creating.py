"""Workspaces, environments, apps and clusters: made once, changed in place, never taken over by accident."""

import msgspec
import pytest

from backends.domain.app import App, AppImage, Chart, ImageKeys
from backends.domain.environment import EnvironmentKind
from backends.domain.ids import Sha
from backends.domain.record import Image
from backends.errors import BackendError, Conflict, Invalid, NotFound, Refused
from backends.gitops import files
from backends.gitops.intents import CreateApp, CreateCluster, CreateEnvironment, Deploy, Init
from backends.gitops.tree import Entry, Tree, blob_id
from tests.gitops.example import INIT, add_on, built, changed, git_app, new

ENVIRONMENT = "environments/prod/environment.yaml"


def commit_of(files_: dict[str, bytes]) -> Tree:
    blobs = {blob_id(data): data for data in files_.values()}
    return Tree(Sha("1" * 40), {path: Entry(0o100644, blob_id(files_[path])) for path in sorted(files_)}, blobs.__getitem__)


def test_init_writes_the_first_commit() -> None:
    tree = INIT.apply(Tree.of({}))
    assert {
        ".gitattributes",
        "CODEOWNERS",
        "bootstrap/root.yaml",
        "charts/service/1.0.0/Chart.yaml",
        "charts/service/1.0.0/templates/deployment.yaml",
        "charts/service/1.0.0/templates/migrate.yaml",
        "charts/service/1.0.0/templates/service.yaml",
        "charts/service/1.0.0/values.yaml",
        "control/.gitkeep",
        "tiphys.yaml",
    } == set(tree.paths())
    assert "init(acme): workspace" == INIT.describe(Tree.of({}), tree).subject


def test_init_again_with_the_same_slug_has_nothing_to_do_whatever_the_id() -> None:
    tree = built(1)
    assert tree is msgspec.structs.replace(INIT, id="01JD8Z6W4T0Q8C2V6N3M5X7Y9B").apply(tree)


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (commit_of({}), "this repository has commits and is no workspace"),
        (commit_of({"README.md": b"hello\n"}), "this repository has commits and is no workspace"),
        (Tree.of({"tiphys.yaml": 'schemaVersion: 1\nid: "x"\nslug: "other"\n', "bootstrap/root.yaml": built(1).read(files.ROOT) or b""}), "is workspace 'other' already"),
    ],
)  # fmt: skip
def test_init_refuses_a_repository_that_is_something_else(tree: Tree, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        INIT.apply(tree)


@pytest.mark.parametrize(
    "field", [{"slug": "Acme"}, {"slug": "a--b"}, {"repo_url": "-oProxyCommand=x"}, {"repo_url": ""}, {"branch": "ma\nin"}]
)
def test_init_refuses_names_that_would_not_work(field: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        msgspec.structs.replace(INIT, **field).apply(Tree.of({}))


def test_a_new_environment_takes_defaults_and_the_next_order() -> None:
    tree = built(2)
    tree = CreateEnvironment(name="dev").apply(tree)
    assert {
        "control/managers/dev.yaml",
        "control/projects/dev.yaml",
        "deployments/dev/.gitkeep",
        "environments/dev/environment.yaml",
        "environments/dev/values.yaml",
    } == set(changed(built(2), tree))
    assert 10 == files.environment(tree, "dev").order
    found = files.environment(CreateEnvironment(name="qa", kind=EnvironmentKind.PRODUCTION).apply(tree), "qa")
    assert (20, True, True, ("in-cluster",)) == (found.order, found.protected, found.automated, found.clusters)
    open_one = CreateEnvironment(name="qa", kind=EnvironmentKind.PRODUCTION, protected=False, automated=False, clusters=("eu-1",))
    found = files.environment(open_one.apply(tree), "qa")
    assert (False, False, "eu-1", ("eu-1",)) == (found.protected, found.automated, found.cluster, found.clusters)


def test_an_environment_that_cannot_be_read_does_not_keep_another_from_being_made(workspace: Tree) -> None:
    tree = workspace.with_file(ENVIRONMENT, b"kind: [\n")
    assert 20 == files.environment(CreateEnvironment(name="qa").apply(tree), "qa").order
    with pytest.raises(Invalid, match=ENVIRONMENT):
        CreateEnvironment(name="prod", order=1).apply(tree)


def test_options_of_an_environment_change_in_place_and_comments_stay(workspace: Tree) -> None:
    before = (workspace.read(ENVIRONMENT) or b"").replace(b"order: 30\n", b'order: 30  # after staging\nowner: "ada"\n')
    tree = workspace.with_file(ENVIRONMENT, before)
    after = CreateEnvironment(name="prod", order=40, promote_from=()).apply(tree)
    expected = before.replace(b"order: 30 ", b"order: 40 ").replace(b'promoteFrom: ["dev"]', b"promoteFrom: []").decode()
    assert {ENVIRONMENT: expected} == changed(tree, after)
    intent = CreateEnvironment(name="prod", order=40, promote_from=())
    assert "create-environment(prod): change order, promoteFrom" == intent.describe(tree, after).subject


def test_more_clusters_change_the_project_too(workspace: Tree) -> None:
    tree = CreateCluster(name="us-1", server="https://us-1.example.org").apply(workspace)
    after = CreateEnvironment(name="prod", clusters=("in-cluster", "eu-1", "us-1")).apply(tree)
    assert {ENVIRONMENT, "control/projects/prod.yaml"} == set(changed(tree, after))
    assert b'    - {name: "us-1", namespace: "*-prod"}\n' in (after.read("control/projects/prod.yaml") or b"")


def test_an_environment_that_becomes_manual_changes_its_applications(workspace: Tree) -> None:
    after = CreateEnvironment(name="dev", automated=False).apply(workspace)
    difference = changed(workspace, after)
    assert {
        "environments/dev/environment.yaml",
        "deployments/dev/shop-api/shop-api-dev-k3x7qa/application.yaml",
        "deployments/dev/web/web-dev-zz45ab/application.yaml",
    } == set(difference)
    assert "automated" not in (difference["deployments/dev/web/web-dev-zz45ab/application.yaml"] or "")


@pytest.mark.parametrize(
    ("intent", "error", "reason"),
    [
        (CreateEnvironment(name="prod", clusters=("in-cluster",)), Refused, "web-prod-e5u6aa is on cluster eu-1"),
        (CreateEnvironment(name="prod", namespace="{app}"), None, ""),
        (
            CreateEnvironment(name="prod", namespace="live-{app}"),
            Refused,
            "is in namespace .*-prod, which the new template would not allow",
        ),
        (CreateEnvironment(name="prod", clusters=("in-cluster", "eu-1", "mars")), NotFound, "there is no cluster 'mars'"),
        (CreateEnvironment(name="qa", cluster="eu-2"), NotFound, "there is no cluster 'eu-2'"),
        (CreateEnvironment(name="qa", promote_from=("dve",)), NotFound, "there is no environment 'dve'"),
        (CreateEnvironment(name="QA"), Invalid, "not a usable environment name"),
        (CreateEnvironment(name="off"), Invalid, "not a usable environment name"),
        (CreateEnvironment(name="qa", namespace="{team}"), Invalid, "a namespace template holds"),
        (CreateEnvironment(name="prod", order=1, new=True), Conflict, "somebody has created environment prod meanwhile"),
    ],
)
def test_what_would_leave_deployments_outside_is_refused(
    intent: CreateEnvironment, error: type[BackendError] | None, reason: str, workspace: Tree
) -> None:
    if error is None:
        assert changed(workspace, intent.apply(workspace))
        return
    with pytest.raises(error, match=reason):
        intent.apply(workspace)


def test_an_app_gets_its_two_files_and_an_add_on_of_a_new_repository_every_project(workspace: Tree) -> None:
    assert {"apps/api/app.yaml", "apps/api/values.yaml"} == set(changed(workspace, git_app("api").apply(workspace)))
    again = add_on("other")
    assert {"apps/other/app.yaml", "apps/other/values.yaml"} == set(changed(workspace, again.apply(workspace)))
    after = add_on("third", "https://a.example.org").apply(workspace)
    assert {"apps/third/app.yaml", "apps/third/values.yaml", "control/projects/dev.yaml", "control/projects/prod.yaml"} == set(
        changed(workspace, after)
    )
    line = b'sourceRepos: ["https://git.example.org/acme/workspace.git", "https://a.example.org", "https://charts.example.org"]'
    assert line in (after.read("control/projects/dev.yaml") or b"")


@pytest.mark.parametrize(
    ("app", "error", "reason"),
    [
        (App(name="web", chart=Chart(path="charts/service", version="1.0.0")), Conflict, "app web exists already"),
        (App(name="api", chart=Chart(path="charts/service", version="2.0.0")), NotFound, "chart charts/service has no version 2.0.0"),
        (App(name="api", chart=Chart(path="charts/srevice", version="1.0.0")), NotFound, "there is no chart charts/srevice"),
        (App(name="api", kind="addon"), Invalid, "an add-on needs the repository"),
        (App(name="api", chart=Chart(path="charts/service", version="1.0.0"), images={"on": AppImage(repository="a")}), Invalid, "not a usable image name"),
        (App(name="api", chart=Chart(path="charts/service", version="1.0.0"), images={"w": AppImage(repository="a")}), Invalid, "nobody says where"),
        (App(name="api", kind="addon", chart=Chart(repo="-x", name="y")), Invalid, "not usable in an app"),
        (App(name="null"), Invalid, "not a usable app name"),
    ],
)  # fmt: skip
def test_an_app_that_would_not_work_is_refused(app: App, error: type[BackendError], reason: str, workspace: Tree) -> None:
    with pytest.raises(error, match=reason):
        CreateApp(app=app).apply(workspace)


def test_app_yaml_says_where_images_go() -> None:
    app = App(
        name="api",
        chart=Chart(path="charts/service", version="1.0.0"),
        images={"main": AppImage(repository="a/b")},
        image_values={"main": ImageKeys(repository="x.repo", tag="x.tag")},
    )
    tree = CreateApp(app=app).apply(built(4))
    assert (
        'kind: "git"\nchart: {path: "charts/service", version: "1.0.0"}\nimages:\n  main: {repository: "a/b"}\n'
        'imageValues:\n  main: {repository: "x.repo", tag: "x.tag"}\n'
    ) == (tree.read("apps/api/app.yaml") or b"").decode()
    assert app == files.app(tree, "api")


def test_a_cluster_is_named_once(workspace: Tree) -> None:
    with pytest.raises(Conflict, match="cluster eu-1 exists already"):
        CreateCluster(name="eu-1", server="https://elsewhere.example.org").apply(workspace)
    with pytest.raises(Invalid, match="in-cluster is the cluster that Argo CD runs in"):
        CreateCluster(name="in-cluster", server="https://x").apply(workspace)
    with pytest.raises(Invalid, match="not the address"):
        CreateCluster(name="eu-2", server="https://user:secret@x").apply(workspace)
    with pytest.raises(Invalid, match="not the address"):
        CreateCluster(name="eu-2", server="eu-2").apply(workspace)


def test_a_workspace_reads_where_argo_cd_reads_it() -> None:
    tree = Init(slug="acme", id="1", repo_url="http://git.local/x.git", branch="trunk", namespace="argo").apply(Tree.of({}))
    found = files.workspace(tree)
    assert ("http://git.local/x.git", "trunk", "argo") == (found.repo_url, found.revision, found.argocd.namespace)
    tree = git_app("web").apply(CreateEnvironment(name="dev").apply(tree))
    after = Deploy(app="web", targets=(new("web-dev-aaaaaa", "dev"),), images={"main": Image(tag="1")}).apply(tree)
    application = (after.read("deployments/dev/web/web-dev-aaaaaa/application.yaml") or b"").decode()
    assert 'repoURL: "http://git.local/x.git"\n    targetRevision: "trunk"\n' in application
    assert 'namespace: "argo"' in application
