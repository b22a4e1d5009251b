"""Deploys: first and again, images and chart versions, several targets in one commit, and what is refused."""

import msgspec
import pytest

from backends.domain.app import App, AppImage, Chart, ImageKeys
from backends.domain.record import Image
from backends.errors import Conflict, Invalid, NotFound, Refused
from backends.gitops import files
from backends.gitops.intents import CreateApp, CreateEnvironment, Deploy
from backends.gitops.tree import Tree
from tests.gitops.example import DIGEST, REGISTRY, SOURCE, changed, git_app, new, old

DEV = "deployments/dev/web/web-dev-zz45ab"
WEB_DEV = old("web-dev-zz45ab", "dev")


def to_dev(tag: str = "8d02e11", **more: object) -> Deploy:
    return msgspec.structs.replace(Deploy(app="web", targets=(WEB_DEV,), images={"main": Image(tag=tag)}), **more)


def with_chart(tree: Tree, version: str) -> Tree:
    old_version = "charts/service/1.0.0"
    return tree.with_files({p.replace("1.0.0", version): tree.read(p) or b"" for p in tree.paths(old_version)})


def test_a_new_image_writes_the_two_release_files_and_nothing_else(workspace: Tree) -> None:
    after = to_dev(source=SOURCE, build="github/8123#1").apply(workspace)
    assert {
        f"{DEV}/release.yaml": (
            "images:\n"
            f'  main: {{repository: "{REGISTRY}/web", tag: "8d02e11", digest: ""}}\n'
            'chart: {version: "1.0.0"}\n'
            'build: "github/8123#1"\n'
            f'source: "{SOURCE}"\n'
        ),
        f"{DEV}/values.release.yaml": f'image: {{repository: "{REGISTRY}/web", tag: "8d02e11", digest: ""}}\n',
    } == changed(workspace, after)


def test_the_words_of_the_commit_are_for_people_and_machines(workspace: Tree) -> None:
    intent = to_dev(source=SOURCE, build="github/8123#1")
    said = intent.describe(workspace, intent.apply(workspace))
    assert "deploy(web → dev): 1f3c9ab → 8d02e11" == said.subject
    assert [
        ("Tiphys-Op", "deploy"),
        ("Tiphys-Deployment", "web-dev-zz45ab"),
        ("Tiphys-App", "web"),
        ("Tiphys-Env", "dev"),
        ("Tiphys-Image", f"{REGISTRY}/web:8d02e11"),
        ("Tiphys-Chart", "service 1.0.0"),
        ("Tiphys-Build", "github/8123#1"),
        ("Tiphys-Source", SOURCE),
    ] == [(one.key, one.value) for one in said.trailers]


def test_a_subject_is_at_most_72_characters(workspace: Tree) -> None:
    intent = to_dev(tag="a-very-long-tag-" + "x" * 100)
    said = intent.describe(workspace, intent.apply(workspace))
    assert 72 == len(said.subject)
    assert said.subject.endswith("…")


def test_a_workspace_may_want_its_subjects_in_another_form(workspace: Tree) -> None:
    tree = workspace.with_file(files.WORKSPACE, (workspace.read(files.WORKSPACE) or b"") + b'subject: "chore({op}): {scope} {detail}"\n')
    intent = to_dev()
    assert "chore(deploy): web → dev 1f3c9ab → 8d02e11" == intent.describe(tree, intent.apply(tree)).subject


def test_a_digest_is_written_where_the_chart_reads_it(workspace: Tree) -> None:
    after = to_dev(images={"main": Image(tag="8d02e11", digest=DIGEST)}).apply(workspace)
    assert f'image: {{repository: "{REGISTRY}/web", tag: "8d02e11", digest: "{DIGEST}"}}\n'.encode() == after.read(
        f"{DEV}/values.release.yaml"
    )


def test_a_new_chart_version_moves_the_application_and_keeps_where_the_image_came_from(workspace: Tree) -> None:
    tree = with_chart(workspace, "1.1.0")
    after = Deploy(app="web", targets=(WEB_DEV,), chart_version="1.1.0").apply(tree)
    difference = changed(tree, after)
    assert {f"{DEV}/release.yaml", f"{DEV}/application.yaml"} == set(difference)
    assert f'chart: {{version: "1.1.0"}}\nsource: "{SOURCE}"\n' in (difference[f"{DEV}/release.yaml"] or "")
    before = (tree.read(f"{DEV}/application.yaml") or b"").decode()
    assert before.replace("charts/service/1.0.0", "charts/service/1.1.0") == difference[f"{DEV}/application.yaml"]
    said = Deploy(app="web", targets=(WEB_DEV,), chart_version="1.1.0").describe(tree, after)
    assert "deploy(web → dev): chart 1.0.0 → 1.1.0" == said.subject


def test_several_targets_are_one_change_and_each_is_named(workspace: Tree) -> None:
    targets = (WEB_DEV, old("web-prod-e5u6aa", "prod", "eu-1"), old("web-prod-q7t2cc", "prod"))
    intent = Deploy(app="web", targets=targets, images={"main": Image(tag="8d02e11")})
    after = intent.apply(workspace)
    assert 6 == len(changed(workspace, after))
    said = intent.describe(workspace, after)
    assert "deploy(web → dev, prod/eu-1, prod/in-cluster): 1f3c9ab → 8d02e11" == said.subject
    assert ["web-dev-zz45ab", "web-prod-e5u6aa", "web-prod-q7t2cc"] == [t.value for t in said.trailers if t.key == "Tiphys-Deployment"]


def test_the_same_release_again_is_nothing_to_do_and_keeps_unknown_keys(workspace: Tree) -> None:
    path = f"{DEV}/release.yaml"
    tree = workspace.with_file(path, (workspace.read(path) or b"") + b'ticket: "OPS-1"\n')
    assert {} == changed(tree, to_dev(tag="1f3c9ab").apply(tree))
    assert (to_dev(tag="2").apply(tree).read(path) or b"").endswith(b'chart: {version: "1.0.0"}\nticket: "OPS-1"\n')


def test_a_first_deploy_that_somebody_else_made_meanwhile_is_a_conflict_naming_it(workspace: Tree) -> None:
    intent = Deploy(app="web", targets=(new("web-dev-aaaaaa", "dev"),), images={"main": Image(tag="2")})
    with pytest.raises(Conflict, match="somebody has deployed web to dev on in-cluster meanwhile: web-dev-zz45ab"):
        intent.apply(workspace)


def test_an_id_that_is_taken_is_a_conflict(workspace: Tree) -> None:
    tree = git_app("api").apply(workspace)
    intent = Deploy(app="api", targets=(new("web-dev-zz45ab", "dev"),), images={"main": Image(tag="2")})
    with pytest.raises(Conflict, match="the id web-dev-zz45ab is taken"):
        intent.apply(tree)


def test_a_deployment_that_is_gone_is_not_made_again(workspace: Tree) -> None:
    with pytest.raises(NotFound, match="web-dev-gggggg is not there any more"):
        Deploy(app="web", targets=(old("web-dev-gggggg", "dev"),), images={"main": Image(tag="2")}).apply(workspace)


def test_a_cluster_outside_the_environment_is_refused_naming_the_command(workspace: Tree) -> None:
    with pytest.raises(Refused, match="dev does not allow cluster eu-1") as caught:
        Deploy(app="exporter", targets=(new("exporter-dev-aaaaaa", "dev", "eu-1"),), chart_version="1").apply(workspace)
    assert "tiphys create environment dev --clusters in-cluster,eu-1" == caught.value.hint


@pytest.mark.parametrize(
    ("intent", "error", "reason"),
    [
        (Deploy(app="web", targets=()), Invalid, "nowhere to deploy to"),
        (Deploy(app="wbe", targets=(WEB_DEV,)), NotFound, "there is no app 'wbe'"),
        (Deploy(app="web", targets=(old("x", "dve"),)), NotFound, "there is no environment 'dve'"),
        (to_dev(images={"mian": Image(tag="1")}), NotFound, "app web has no image 'mian'"),
        (to_dev(images={"main": Image(repository="a")}), Invalid, "the image 'main' has neither tag nor digest"),
        (to_dev(images={"main": Image(tag="1", digest="sha256:12")}), Invalid, "not an image digest"),
        (to_dev(images={"main": Image(tag="1\n2")}), Invalid, "not an image for 'main'"),
        (to_dev(source="a\nTiphys-Op: delete"), Invalid, "not one line"),
        (to_dev(chart_version="9.9.9"), NotFound, "chart charts/service has no version 9.9.9"),
        (Deploy(app="exporter", targets=(new("exporter-dev-aaaaaa", "dev"),)), Invalid, "no chart version for exporter-dev-aaaaaa"),
    ],
)
def test_what_cannot_be_deployed_is_refused(intent: Deploy, error: type[Exception], reason: str, workspace: Tree) -> None:
    with pytest.raises(error, match=reason):
        intent.apply(workspace)


def test_a_first_deploy_needs_every_image_of_the_app(workspace: Tree) -> None:
    tree = git_app("api").apply(workspace)
    with pytest.raises(Invalid, match="api was never deployed there and needs an image for main"):
        Deploy(app="api", targets=(new("api-dev-aaaaaa", "dev"),)).apply(tree)


def test_images_go_where_the_app_says_and_a_tag_carries_the_digest_where_the_chart_has_no_key_for_it(workspace: Tree) -> None:
    app = App(
        name="pair",
        chart=Chart(path="charts/service", version="1.0.0"),
        images={"main": AppImage(repository="r.example/a"), "worker": AppImage(repository="r.example/b")},
        image_values={
            "main": ImageKeys(repository="web.image.repo", tag="web.image.tag", digest="web.image.digest"),
            "worker": ImageKeys(repository=r"jobs\.io.repo", tag=r"jobs\.io.version"),
        },
    )
    tree = CreateApp(app=app).apply(workspace)
    intent = Deploy(
        app="pair",
        targets=(new("pair-dev-aaaaaa", "dev"),),
        images={"worker": Image(tag="2", digest=DIGEST), "main": Image(tag="1")},
    )
    after = intent.apply(tree)
    assert (
        f'web: {{image: {{repo: "r.example/a", tag: "1", digest: ""}}}}\njobs.io: {{repo: "r.example/b", version: "2@{DIGEST}"}}\n'
    ) == (after.read("deployments/dev/pair/pair-dev-aaaaaa/values.release.yaml") or b"").decode()
    assert "deploy(pair → dev): 1 +1" == intent.describe(tree, after).subject
    again = Deploy(app="pair", targets=(old("pair-dev-aaaaaa", "dev"),), images={"worker": Image(tag="3")})
    assert b'tag: "1"' in (again.apply(after).read("deployments/dev/pair/pair-dev-aaaaaa/values.release.yaml") or b"")


def test_an_image_that_nobody_says_where_to_write_is_refused(workspace: Tree) -> None:
    tree = workspace.with_file("apps/web/app.yaml", b'kind: "git"\nchart: {path: "charts/service", version: "1.0.0"}\n')
    with pytest.raises(Invalid, match="app web does not say where its chart reads the image 'extra'"):
        to_dev(images={"extra": Image(repository="a/b", tag="1")}).apply(tree)


def test_the_namespace_comes_from_the_template_and_must_be_one(workspace: Tree) -> None:
    tree = CreateEnvironment(name="qa", namespace="shared-{env}").apply(workspace)
    after = Deploy(app="web", targets=(new("web-qa-aaaaaa", "qa"),), images={"main": Image(tag="1")}).apply(tree)
    assert b'namespace: "shared-qa"' in (after.read("deployments/qa/web/web-qa-aaaaaa/deployment.yaml") or b"")
    name = "a" * 40
    tree = git_app(name).apply(CreateEnvironment(name="b" * 40).apply(workspace))
    with pytest.raises(Invalid, match="at most 63"):
        Deploy(app=name, targets=(new("x-y-aaaaaa", "b" * 40),), images={"main": Image(tag="1")}).apply(tree)
