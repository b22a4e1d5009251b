"""What people type: image references, targets, layers; a typo suggests the nearest name."""

import re

import pytest

from backends.domain.record import Image
from backends.errors import BackendError, Invalid, NotFound
from backends.gitops import charts, resolve
from backends.gitops.images import parse_image, parse_images
from backends.gitops.intents import Target
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.targets import Destination, destinations
from backends.gitops.tree import Tree
from tests.gitops.example import DIGEST, git_app


@pytest.mark.parametrize(
    ("text", "name", "image"),
    [
        ("web:1", "main", Image(repository="web", tag="1")),
        ("registry.example.org/acme/web:8d02e11", "main", Image(repository="registry.example.org/acme/web", tag="8d02e11")),
        ("localhost:5000/web:1", "main", Image(repository="localhost:5000/web", tag="1")),
        (f"localhost:5000/web@{DIGEST}", "main", Image(repository="localhost:5000/web", digest=DIGEST)),
        (f"r.example:443/a/b:1.2@{DIGEST}", "main", Image(repository="r.example:443/a/b", tag="1.2", digest=DIGEST)),
        ("worker=r/a:1", "worker", Image(repository="r/a", tag="1")),
        (":1.2", "main", Image(tag="1.2")),
        (f"worker=@{DIGEST}", "worker", Image(digest=DIGEST)),
        ("[::1]:5000/a:1", "main", Image(repository="[::1]:5000/a", tag="1")),
    ],
)
def test_an_image_reference_is_taken_apart(text: str, name: str, image: Image) -> None:
    assert (name, image) == parse_image(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("registry.example.org:5000/web", "add a tag or a digest"),
        ("web", "add a tag or a digest"),
        ("Web:1", "a repository is lower-case"),
        ("web:", "a tag is at most 128"),
        ("web:a b", "a tag is at most 128"),
        ("web@sha256:12", "a digest is sha256:"),
        ("https://r.example/web:1", "a repository is lower-case"),
        ("web:1\n", "a tag is at most 128"),
        ("-x/web:1", "a repository is lower-case"),
        ("", "add a tag or a digest"),
    ],
)
def test_what_is_no_image_reference_is_refused_with_the_reason(text: str, hint: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_image(text)
    assert hint in caught.value.hint


def test_an_image_is_given_once() -> None:
    assert {"main": Image(repository="a", tag="1"), "w": Image(repository="b", tag="1")} == parse_images(["a:1", "w=b:1"])
    with pytest.raises(Invalid, match="the image 'main' is given twice"):
        parse_images(["a:1", "b:1"])


def test_destinations_are_environments_and_perhaps_clusters() -> None:
    expected = (Destination("dev"), Destination("prod", "eu-1"), Destination("qa"))
    assert expected == destinations(["dev,prod/eu-1", "qa", "dev"])


@pytest.mark.parametrize("text", ["", "a,", "a/", "/b", "a/b/c"])
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="not a destination"):
        destinations([text])


def targets(tree: Tree, app: str, to: str) -> list[tuple[str, str, bool]]:
    found = resolve.deploy(tree, app, to, images=[":2"]).targets
    return [(one.environment, one.cluster, one.new) for one in found]


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("dev", [("dev", "in-cluster", False)]),
        ("prod", [("prod", "eu-1", False), ("prod", "in-cluster", False)]),
        ("prod/eu-1", [("prod", "eu-1", False)]),
        ("prod/eu-1,prod", [("prod", "eu-1", False), ("prod", "in-cluster", False)]),
    ],
)
def test_a_destination_means_the_deployments_that_are_there(to: str, expected: list[tuple[str, str, bool]], workspace: Tree) -> None:
    assert expected == targets(workspace, "web", to)


def test_where_none_is_yet_one_is_made_with_an_id_never_used(workspace: Tree) -> None:
    tree = git_app("api").apply(workspace)
    assert [("dev", "in-cluster", True), ("prod", "eu-1", True)] == targets(tree, "api", "dev,prod/eu-1,dev/in-cluster")
    ids = {resolve.deploy(tree, "api", "dev", images=[":2"]).targets[0].id for _ in range(5)}
    assert 5 == len(ids)
    assert all(re.fullmatch(r"api-dev-[a-z2-7]{6}", id) for id in ids)


def test_ids_that_were_ever_used_are_not_minted_again(workspace: Tree) -> None:
    class Used:
        """Says of the first three ids that they were used."""

        def __init__(self) -> None:
            self.asked: list[object] = []

        def __contains__(self, id: object) -> bool:
            self.asked.append(id)
            return len(self.asked) <= 3

    used = Used()
    tree = git_app("api").apply(workspace)
    target = resolve.deploy(tree, "api", ["dev"], images=[":2"], taken=used).targets[0]
    assert (4, target.id) == (len(used.asked), used.asked[3])
    assert Target(id=target.id, environment="dev", cluster="in-cluster", new=True) == target


@pytest.mark.parametrize(
    ("ask", "error", "suggestion"),
    [
        (lambda tree: resolve.deploy(tree, "wbe", "dev", images=[":1"]), NotFound, "web"),
        (lambda tree: resolve.deploy(tree, "web", "dve", images=[":1"]), NotFound, "dev"),
        (lambda tree: resolve.deploy(tree, "web", "prod/eu-2", images=[":1"]), NotFound, "eu-1"),
        (lambda tree: resolve.deployment(tree, "web-dev-zz45ba"), NotFound, "web-dev-zz45ab"),
        (lambda tree: resolve.layer(tree, "app:shopapi"), NotFound, "shop-api"),
        (lambda tree: resolve.layer(tree, "environment:prd"), NotFound, "prod"),
        (lambda tree: resolve.layer(tree, "cluster:eu-1"), Invalid, ""),
        (lambda tree: resolve.layer(tree, "app:"), Invalid, ""),
        (lambda tree: resolve.deployment(tree, "\x1b[31m"), Invalid, ""),
    ],
)
def test_a_typo_suggests_the_nearest_name(ask: object, error: type[BackendError], suggestion: str, workspace: Tree) -> None:
    with pytest.raises(error) as caught:
        ask(workspace)  # type: ignore[operator]
    assert suggestion == getattr(caught.value, "suggestion", "")


def test_a_target_is_a_deployment_an_app_or_an_environment(workspace: Tree) -> None:
    assert [
        Layer(LayerKind.DEPLOYMENT, "web-dev-zz45ab"),
        Layer(LayerKind.APP, "web"),
        Layer(LayerKind.ENVIRONMENT, "dev"),
    ] == [resolve.layer(workspace, text) for text in ("web-dev-zz45ab", "app:web", "environment:dev")]


def with_versions(tree: Tree, *versions: str) -> Tree:
    return tree.with_files({f"charts/service/{version}/Chart.yaml": b"" for version in versions})


def test_the_newest_chart_version_is_by_semantic_versioning(workspace: Tree) -> None:
    tree = with_versions(workspace, "1.10.0", "1.9.0", "2.0.0-rc.1", "2.0.0-rc.10", "0.9.9", "latest")
    assert ("latest", "0.9.9", "1.0.0", "1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0-rc.10") == charts.versions(tree, "charts/service")
    assert "1.10.0" == charts.newest(tree, "charts/service")
    assert "1.0.0-b" == charts.newest(Tree.of({"charts/x/1.0.0-a/Chart.yaml": "", "charts/x/1.0.0-b/Chart.yaml": ""}), "charts/x")
    assert ("charts/service",) == charts.charts(tree)
    with pytest.raises(NotFound) as caught:
        charts.newest(tree, "charts/services")
    assert "charts/service" == caught.value.suggestion
