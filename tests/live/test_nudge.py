"""Whom a push concerns, as the format's table says, and what is told when somebody may not ask or nobody answers."""

import asyncio
from typing import cast

import pytest

from backends.argocd.protocol import ArgoCD
from backends.argocd.types import Application, Metadata
from backends.domain.app import App, AppImage, Chart
from backends.domain.ids import AppKey, DeploymentId
from backends.domain.record import Image
from backends.errors import BackendError, Forbidden, NotFound, Unavailable
from backends.gitops import files
from backends.gitops.intent import Intent
from backends.gitops.intents import CreateApp, CreateEnvironment, Delete, Deploy, EditValues, Init, Pause, Target
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.tree import Tree, changed_paths
from backends.gitops.values import parse_edit
from backends.live.nudge import Notice, NoticeKind, Nudge, Role, When, nudges, run


def deployed(app: str, environment: str) -> DeploymentId:
    return DeploymentId(f"{app}-{environment}-aaaaaa")


def deploy(app: str, environment: str, tag: str = "1.0", *, chart_version: str = "") -> Deploy:
    target = Target(id=deployed(app, environment), environment=environment, cluster="in-cluster", new=True)
    return Deploy(
        app=app, targets=(target,), images={"main": Image(repository="registry.example.test/x", tag=tag)}, chart_version=chart_version
    )


@pytest.fixture(scope="module")
def tree() -> Tree:
    """Two environments, two apps, three deployments."""
    found = Tree.of({})
    for intent in (
        Init(slug="acme", id="01JD0000000000000000000000", repo_url="https://git.example.test/acme.git"),
        CreateEnvironment(name="dev"),
        CreateEnvironment(name="prod"),
        *(
            CreateApp(app=App(name=n, chart=Chart(path="charts/service", version="1.0.0"), images={"main": AppImage(repository="x")}))
            for n in ("web", "api")
        ),
        deploy("web", "dev"),
        deploy("web", "prod"),
        deploy("api", "dev"),
    ):
        found = intent.apply(found)
    return found


def after(tree: Tree, *intents: Intent) -> list[tuple[str, When]]:
    """Names and conditions of those that are nudged after these changes."""
    changed = tree
    for intent in intents:
        changed = intent.apply(changed)
    return of(tree, changed)


def of(before: Tree, changed: Tree) -> list[tuple[str, When]]:
    found = nudges(changed_paths(before, changed), before, changed, files.workspace(changed))
    return [(one.name, one.when) for one in found]


def test_a_new_image_concerns_its_own_application_alone(tree: Tree) -> None:
    assert [("web-dev-aaaaaa", When.NOW)] == after(tree, deploy("web", "dev", "1.1"))


def test_several_targets_of_one_commit_are_each_nudged(tree: Tree) -> None:
    assert [("web-dev-aaaaaa", When.NOW), ("web-prod-aaaaaa", When.NOW)] == after(
        tree, deploy("web", "dev", "2"), deploy("web", "prod", "2")
    )


def test_a_first_deploy_and_a_removal_concern_the_manager_alone(tree: Tree) -> None:
    assert [("tiphys-acme--prod", When.NOW)] == after(tree, deploy("api", "prod"))
    assert [("tiphys-acme--dev", When.NOW)] == after(tree, Delete(id=deployed("api", "dev")))


def test_a_changed_application_waits_for_its_manager_also_where_its_values_change_too(tree: Tree) -> None:
    pause = Pause(target=Layer(LayerKind.DEPLOYMENT, deployed("web", "prod")))
    expected = [("tiphys-acme--prod", When.NOW), ("web-prod-aaaaaa", When.SPEC_APPLIED)]

    assert expected == after(tree, pause)
    assert expected == after(tree, pause, deploy("web", "prod", "1.1"))


def test_a_new_environment_concerns_the_root_then_its_manager(tree: Tree) -> None:
    assert [("tiphys-acme", When.NOW), ("tiphys-acme--test", When.ROOT_SYNCED)] == after(tree, CreateEnvironment(name="test"))


def test_a_shared_layer_concerns_those_that_read_it(tree: Tree) -> None:
    edit = (parse_edit("replicas=2"),)
    app, environment = Layer(LayerKind.APP, "web"), Layer(LayerKind.ENVIRONMENT, "dev")

    assert {"web-dev-aaaaaa", "web-prod-aaaaaa"} == {name for name, _ in after(tree, EditValues(layer=app, edits=edit))}
    assert {"web-dev-aaaaaa", "api-dev-aaaaaa"} == {name for name, _ in after(tree, EditValues(layer=environment, edits=edit))}


def test_a_file_of_a_chart_concerns_everything_that_is_rendered_with_it(tree: Tree) -> None:
    changed = tree.with_file("charts/service/1.0.0/templates/extra.yaml", b"{}\n")

    assert {"web-dev-aaaaaa", "web-prod-aaaaaa", "api-dev-aaaaaa"} == {name for name, _ in of(tree, changed)}


def test_what_no_source_reads_concerns_nobody(tree: Tree) -> None:
    assert [] == of(tree, tree.with_files({"CODEOWNERS": b"* @me\n", "charts/other/1.0.0/Chart.yaml": b"name: other\n"}))


class Refreshed:
    """An Argo CD that answers refreshes as it is told to, and remembers how many there were at once."""

    def __init__(self, errors: dict[str, BackendError] | None = None) -> None:
        self.errors, self.names, self.at_once, self.most = errors or {}, list[str](), 0, 0

    async def get_application(self, key: AppKey, *, project: str = "", refresh: str = "") -> Application:
        assert "normal" == refresh
        self.names.append(key.name)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if key.name in self.errors:
            raise self.errors[key.name]
        return Application(metadata=Metadata(name=key.name, namespace=key.namespace))


def some(*names: str, shared: bool = False) -> list[Nudge]:
    return [Nudge(name=name, project="acme--dev", role=Role.DEPLOYMENT, shared=shared) for name in names]


async def notices(argocd: Refreshed, chosen: list[Nudge], **more: int) -> tuple[Notice, ...]:
    return await run(chosen, cast(ArgoCD, argocd), "argocd", **more)


async def test_at_most_eight_are_refreshed_at_once() -> None:
    argocd = Refreshed()
    found = await notices(argocd, some(*(f"a{number}" for number in range(30))))

    assert 8 == argocd.most
    assert [NoticeKind.NUDGED] * 30 == [one.kind for one in found]


async def test_a_refusal_is_told_with_who_can_and_hinders_nobody_else() -> None:
    manager = Nudge(name="tiphys-acme--dev", project="tiphys-acme--dev", role=Role.MANAGER)
    argocd = Refreshed({"tiphys-acme--dev": Forbidden("permission denied")})
    found = {one.name: one for one in await notices(argocd, [manager, *some("web")])}

    assert NoticeKind.REFUSED is found["tiphys-acme--dev"].kind
    assert "whoever may see Argo CD's project tiphys-acme--dev can" in found["tiphys-acme--dev"].text
    assert NoticeKind.NUDGED is found["web"].kind


async def test_when_nobody_answers_that_is_told_and_no_error() -> None:
    found = await notices(Refreshed({"web": Unavailable("connection refused"), "api": NotFound("gone")}), some("web", "api"))

    assert {("web", NoticeKind.AWAY), ("api", NoticeKind.ABSENT)} == {(one.name, one.kind) for one in found}
    assert "nobody has seen it yet: connection refused" in [one.text for one in found]


async def test_many_readers_are_asked_in_slices_and_very_many_are_left_to_polling() -> None:
    argocd = Refreshed()
    found = await notices(argocd, some(*(f"a{number}" for number in range(7)), shared=True), most=3, polled=10)
    left = await notices(argocd, some(*(f"b{number}" for number in range(11)), shared=True), most=3, polled=10)

    assert ["3 of 7", "6 of 7", "7 of 7"] == [
        one.text.split("at ")[1].removesuffix(" deployments") for one in found if one.kind is NoticeKind.PROGRESS
    ]
    assert [NoticeKind.LEFT] == [one.kind for one in left]
    assert 7 == len(argocd.names)


async def test_a_stopped_nudge_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()

    class Never(Refreshed):
        async def get_application(self, key: AppKey, *, project: str = "", refresh: str = "") -> Application:
            await asyncio.Event().wait()
            raise AssertionError

    task = asyncio.ensure_future(notices(Never(), some("web", "api")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert before == asyncio.all_tasks()
