"""A plan says everything that a change does before anything is written."""

from datetime import UTC, datetime

import msgspec
import pytest

from backends.argocd.types import Application, Health, Metadata, Operation, OperationState, Status
from backends.domain.app import App, AppImage, Chart
from backends.domain.environment import EnvironmentKind
from backends.domain.ids import DeploymentId, Sha
from backends.domain.record import Image
from backends.errors import Cancelled, Invalid, Refused, TimedOut
from backends.gitops import resolve
from backends.gitops.cautions import Caution, Observed
from backends.gitops.file_diffs import FileChange, file_diffs
from backends.gitops.intent import Intent
from backends.gitops.intents import CreateApp, CreateEnvironment, Delete, Deploy, EditValues, Pause
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.plan import Plan, plan
from backends.gitops.tree import Entry, Tree, blob_id
from backends.gitops.values import Edit
from backends.render.hunks import LineKind
from backends.render.types import Manifest, Rendered, RenderRequest, SourceKind
from tests.gitops.example import DIGEST, REGISTRY, git_app, new, old, settled

WEB = DeploymentId("web-dev-zz45ab")
FOLDER = "deployments/dev/web/web-dev-zz45ab"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2-%s}\n"


class Renderer:
    """Renders a source to a Deployment with its values in it, and whatever else a test wants."""

    def __init__(
        self, *more: Manifest, hook: bool = False, missing: str = "", error: Exception | None = None, secret: bool = False
    ) -> None:
        self.more, self.hook, self.missing, self.error, self.secret = more, hook, missing, error, secret
        self.requests: list[RenderRequest] = []

    def __call__(self, request: RenderRequest) -> Rendered:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        if self.missing:
            return Rendered(missing=self.missing)
        values = b"".join(request.files[path] for path in request.value_files).decode()
        body = "".join(f"  v{number}: {msgspec.json.encode(line).decode()}\n" for number, line in enumerate(values.splitlines()))
        found = [Manifest(api_version="apps/v1", kind="Deployment", name="web", text=f"kind: Deployment\nspec:\n{body}")]
        if self.hook:
            found.append(Manifest(api_version="batch/v1", kind="Job", name="migrate", text="kind: Job\n", hook="PreSync"))
        if self.secret:
            found.append(Manifest(api_version="v1", kind="Secret", name="s", text=SECRET % len(self.requests)))
        return Rendered(manifests=(*found, *self.more), by="a test")


def to_dev(tag: str = "8d02e11", digest: str = "") -> Deploy:
    return Deploy(app="web", targets=(old(WEB, "dev"),), images={"main": Image(tag=tag, digest=digest)})


def edit(kind: LayerKind, name: str) -> EditValues:
    return EditValues(layer=Layer(kind, name), edits=(Edit("replicas", 9),))


def codes(found: Plan) -> list[tuple[str, str]]:
    return [(str(one.code), one.about) for one in found.warnings]


def test_files_are_shown_as_hunks_with_both_object_ids(workspace: Tree) -> None:
    found = plan(to_dev(), workspace)
    assert [(f"{FOLDER}/release.yaml", FileChange.CHANGED), (f"{FOLDER}/values.release.yaml", FileChange.CHANGED)] == [
        (diff.path, diff.change) for diff in found.files
    ]
    diff = found.files[1]
    assert workspace.oid(diff.path) == diff.before
    after = f'image: {{repository: "{REGISTRY}/web", tag: "8d02e11", digest: ""}}'
    assert blob_id(f"{after}\n".encode()) == diff.after
    assert [(LineKind.REMOVED, after.replace("8d02e11", "1f3c9ab")), (LineKind.ADDED, after)] == [
        (line.kind, line.text) for line in diff.hunks[0].lines
    ]


def test_a_missing_newline_at_the_end_is_a_change_that_is_shown() -> None:
    one, other = Tree.of({"a": "x\n"}), Tree.of({"a": "x"})
    diff = file_diffs(one, one.with_file("a", b"x"))[0]
    assert ["\\ No newline at end of file"] == [line.text for line in diff.hunks[0].lines if line.kind is LineKind.ADDED]
    assert [FileChange.ADDED, FileChange.REMOVED] == [
        file_diffs(other, tree)[0].change for tree in (other.with_file("b", b""), other.without("a"))
    ]


def test_a_plan_knows_its_commit_its_message_and_what_it_is_bound_to(workspace: Tree) -> None:
    blobs = {workspace.oid(p) or "": workspace.read(p) or b"" for p in workspace.paths()}
    commit = Tree(Sha("c" * 40), {p: Entry(0o100644, workspace.oid(p) or "") for p in workspace.paths()}, blobs.__getitem__)
    found = plan(to_dev(), commit)
    assert ("c" * 40, "deploy(web → dev): 1f3c9ab → 8d02e11", [WEB]) == (found.base, found.message.subject, list(found.deployments))
    release = [f"{FOLDER}/release.yaml", f"{FOLDER}/values.release.yaml"]
    assert {path: commit.oid(path) for path in release} == found.expects
    assert found.intent is found.bound


def test_nothing_to_do_is_an_empty_plan(workspace: Tree) -> None:
    found = plan(to_dev("1f3c9ab"), workspace)
    assert (True, (), (), {}) == (found.empty, found.files, found.warnings, found.expects)
    assert found.message.subject.startswith("deploy(web → dev)")


def test_a_new_deployment_expects_that_nobody_makes_it_first(workspace: Tree) -> None:
    tree = git_app("api").apply(workspace)
    found = plan(Deploy(app="api", targets=(new("api-dev-aaaaaa", "dev"),), images={"main": Image(tag="1")}), settled(tree))
    assert {None} == set(found.expects.values())
    assert [(True, False, "api-dev")] == [(one.new, one.removed, one.namespace) for one in found.targets]


def test_edits_of_values_are_bound_key_by_key_not_file_by_file(workspace: Tree) -> None:
    found = plan(edit(LayerKind.APP, "web"), workspace)
    assert {} == found.expects
    assert isinstance(found.bound, EditValues)
    assert found.bound.edits[0].was is not None


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        (edit(LayerKind.APP, "web"), ["web-dev-zz45ab", "web-prod-e5u6aa", "web-prod-q7t2cc"]),
        (edit(LayerKind.ENVIRONMENT, "prod"), ["exporter-prod-n4w6ty", "shop-api-prod-p2m5vd", "web-prod-e5u6aa", "web-prod-q7t2cc"]),
        (edit(LayerKind.DEPLOYMENT, WEB), [WEB]),
        (Pause(target=Layer(LayerKind.ENVIRONMENT, "dev")), ["shop-api-dev-k3x7qa", WEB]),
        (CreateEnvironment(name="qa"), []),
        (CreateApp(app=App(name="api", chart=Chart(path="charts/service", version="1.0.0"))), []),
        (Delete(id=WEB), [WEB]),
    ],
    ids=["app", "environment", "deployment", "pause", "new environment", "new app", "delete"],
)
def test_a_plan_shows_every_deployment_that_it_reaches(intent: Intent, expected: list[str], workspace: Tree) -> None:
    assert expected == list(plan(intent, workspace).deployments)


def test_a_chart_that_changes_reaches_whoever_reads_it(workspace: Tree) -> None:
    class Patch(msgspec.Struct, frozen=True):
        def apply(self, tree: Tree) -> Tree:
            return tree.with_file("charts/service/1.0.0/values.yaml", b"replicas: 7\n")

        def describe(self, before: Tree, after: Tree) -> object:
            return to_dev().describe(before, after)

    blobs = {workspace.oid(p) or "": workspace.read(p) or b"" for p in workspace.paths()}
    commit = Tree(Sha("c" * 40), {p: Entry(0o100644, workspace.oid(p) or "") for p in workspace.paths()}, blobs.__getitem__)
    assert 5 == len(plan(Patch(), commit).reaches)  # type: ignore[arg-type]


def test_how_each_deployment_is_reached_is_said(workspace: Tree) -> None:
    paused = plan(Pause(target=Layer(LayerKind.DEPLOYMENT, WEB)), workspace).reaches[0]
    assert ((), True, False) == (paused.files, paused.application, paused.removed)
    read = plan(edit(LayerKind.APP, "web"), workspace).reaches[0]
    assert (("apps/web/values.yaml",), False) == (read.files, read.application)
    assert plan(Delete(id=WEB), workspace).reaches[0].removed


def test_a_deployment_that_cannot_be_read_is_reached_perhaps_and_hides_no_other(workspace: Tree) -> None:
    tree = workspace.with_file("deployments/prod/web/web-prod-q7t2cc/application.yaml", b"{}\nx: 1\n")
    found = plan(edit(LayerKind.APP, "web"), tree)
    assert [False, False, True] == [bool(reach.problem) for reach in found.reaches]


def test_what_a_release_changes_is_said_per_target(workspace: Tree) -> None:
    found = plan(resolve.deploy(workspace, "web", "prod", images=[f":2@{DIGEST}"]), workspace).targets
    assert [("eu-1", "1f3c9ab", "2"), ("in-cluster", "1f3c9ab", "2")] == [
        (one.cluster, one.images[0].before and one.images[0].before.tag, one.images[0].after and one.images[0].after.tag) for one in found
    ]


def test_the_source_that_argo_cd_obeys_is_rendered_before_and_after(workspace: Tree) -> None:
    renderer = Renderer()
    found = plan(to_dev(), workspace, renderer=renderer)
    assert 2 == len(renderer.requests)
    request = renderer.requests[0]
    assert (SourceKind.HELM, "charts/service/1.0.0", WEB, "web-dev") == (
        request.kind,
        request.path,
        request.release_name,
        request.namespace,
    )
    assert request.value_files == (
        "apps/web/values.yaml",
        "environments/dev/values.yaml",
        f"{FOLDER}/values.yaml",
        f"{FOLDER}/values.release.yaml",
    )
    assert set(request.value_files) | set(workspace.paths("charts/service/1.0.0")) == set(request.files)
    assert [("changed", "Deployment", "web")] == [(one.change.value, one.kind, one.name) for one in found.rendered[0].objects]
    assert "a test" == found.rendered[0].by


def test_new_and_deleted_deployments_are_rendered_on_one_side(workspace: Tree) -> None:
    gone = plan(Delete(id=WEB), workspace, renderer=Renderer(hook=True)).rendered[0]
    assert ["removed", "removed"] == [one.change.value for one in gone.objects]
    tree = settled(git_app("api").apply(workspace))
    intent = Deploy(app="api", targets=(new("api-dev-aaaaaa", "dev"),), images={"main": Image(tag="1")})
    assert ["added"] == [one.change.value for one in plan(intent, tree, renderer=Renderer()).rendered[0].objects]


def test_the_data_of_secrets_is_nowhere_in_a_plan(workspace: Tree) -> None:
    found = plan(to_dev(), workspace, renderer=Renderer(secret=True))
    assert ["Deployment", "Secret"] == sorted(one.kind for one in found.rendered[0].objects)
    assert "hunter2" not in repr(found)


def test_a_chart_from_elsewhere_is_not_rendered_and_says_so(workspace: Tree) -> None:
    renderer = Renderer()
    intent = Deploy(app="exporter", targets=(old("exporter-prod-n4w6ty", "prod"),), chart_version="0.2.0")
    found = plan(intent, workspace, renderer=renderer)
    assert [] == renderer.requests
    assert "not rendered here: chart exporter of https://charts.example.org" == found.rendered[0].missing
    assert (str(Caution.NOT_RENDERED), "exporter-prod-n4w6ty") in codes(found)


def test_a_shared_layer_renders_the_first_few_and_says_of_the_others(workspace: Tree) -> None:
    tree = workspace
    for number in range(25):
        tree = git_app(f"app{number}").apply(tree)
        intent = Deploy(app=f"app{number}", targets=(new(f"app{number}-dev-aaaaaa", "dev"),), images={"main": Image(tag="1")})
        tree = intent.apply(tree)
    renderer = Renderer()
    found = plan(edit(LayerKind.ENVIRONMENT, "dev"), settled(tree), renderer=renderer)
    assert (27, 27, 40) == (len(found.reaches), len(found.rendered), len(renderer.requests))
    assert "not rendered: only the first 20 deployments are" == found.rendered[-1].missing


@pytest.mark.parametrize(
    ("renderer", "code", "text"),
    [
        (Renderer(error=Invalid("charts/service: nil pointer")), Caution.DOES_NOT_RENDER, "does not render after this: charts/service: nil pointer"),
        (Renderer(error=TimedOut("no answer")), Caution.NOT_RENDERED, "not rendered: no answer"),
        (Renderer(missing="not rendered here: no helm"), Caution.NOT_RENDERED, "no helm"),
        (None, Caution.NOT_RENDERED, "nothing here renders"),
        (Renderer(hook=True), Caution.HOOKS_RUN, "runs its hooks again: PreSync Job migrate"),
        (Renderer(Manifest(api_version="rbac.authorization.k8s.io/v1", kind="ClusterRole", name="x", text="kind: ClusterRole\n")), Caution.NOT_ALLOWED,
         'add {group: "rbac.authorization.k8s.io", kind: "ClusterRole"} to allow.clusterResources of environments/dev/environment.yaml'),
    ],
)  # fmt: skip
def test_what_rendering_tells_is_a_warning(renderer: Renderer | None, code: Caution, text: str, workspace: Tree) -> None:
    found = [one for one in plan(to_dev(digest=DIGEST), workspace, renderer=renderer).warnings if one.code is code]
    assert [True] == [text in one.text for one in found]


def test_a_change_of_hooks_alone_says_that_nothing_will_run(workspace: Tree) -> None:
    class OnlyHooks(Renderer):
        def __call__(self, request: RenderRequest) -> Rendered:
            self.requests.append(request)
            text = f"kind: Job\nn: {len(self.requests)}\n"
            return Rendered(manifests=(Manifest(api_version="batch/v1", kind="Job", name="m", text=text, hook="PreSync"),))

    assert (str(Caution.ONLY_HOOKS), WEB) in codes(plan(to_dev(), workspace, renderer=OnlyHooks()))


def test_a_cancelled_rendering_cancels_the_plan(workspace: Tree) -> None:
    with pytest.raises(Cancelled):
        plan(to_dev(), workspace, renderer=Renderer(error=Cancelled("stopped")))


def seen(**status: object) -> Observed:
    return Observed(applications={WEB: Application(metadata=Metadata(name=WEB), status=Status(**status))})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (
            seen(operation_state=OperationState(phase="Running", started_at=datetime(2026, 1, 1, 12, 28, tzinfo=UTC))),
            Caution.OPERATION_RUNS,
        ),
        (Observed(applications={WEB: Application(operation=Operation())}), Caution.OPERATION_RUNS),
        (seen(health=Health(status="Degraded")), Caution.DEGRADED),
        (seen(operation_state=OperationState(phase="Succeeded"), health=Health(status="Healthy")), None),
        (None, None),
    ],
)
def test_what_runs_now_is_a_warning(observed: Observed | None, expected: Caution | None, workspace: Tree) -> None:
    found = {one.code for one in plan(to_dev(), workspace, observed=observed).warnings}
    assert ({expected} if expected else set()) == found & {Caution.OPERATION_RUNS, Caution.DEGRADED}


def test_a_tag_without_a_digest_and_a_foreign_repository_are_warned_about(workspace: Tree) -> None:
    intent = Deploy(app="web", targets=(old(WEB, "dev"),), images={"main": Image(repository="mirror.example.org/web", tag="2")})
    found = plan(intent, workspace)
    assert {(str(Caution.TAG_MAY_MOVE), WEB), (str(Caution.OTHER_REPOSITORY), WEB)} <= set(codes(found))
    assert str(Caution.TAG_MAY_MOVE) not in {code for code, _ in codes(plan(to_dev(digest=DIGEST), workspace))}


def test_a_target_that_has_this_release_already_is_named(workspace: Tree) -> None:
    tree = settled(to_dev().apply(workspace))
    found = plan(resolve.deploy(tree, "web", "dev,prod", images=[":8d02e11"]), tree)
    assert [WEB] == [about for code, about in codes(found) if code == Caution.SAME_RELEASE]


def test_the_same_image_from_another_build_says_that_only_the_record_changes(workspace: Tree) -> None:
    intent = msgspec.structs.replace(to_dev("1f3c9ab"), build="github/9#1")
    texts = [one.text for one in plan(intent, workspace).warnings if one.code is Caution.SAME_RELEASE]
    assert ["the image of web-dev-zz45ab is the same: only its record changes"] == texts


def test_pauses_manual_environments_and_the_manager_are_named(workspace: Tree) -> None:
    paused = settled(Pause(target=Layer(LayerKind.DEPLOYMENT, WEB)).apply(workspace))
    assert (str(Caution.PAUSED), WEB) in codes(plan(to_dev(), paused))
    all_paused = settled(Pause(target=Layer(LayerKind.ENVIRONMENT, "dev")).apply(workspace))
    assert (str(Caution.PAUSED), "dev") in codes(plan(to_dev(), all_paused))
    manual = settled(CreateEnvironment(name="dev", automated=False).apply(workspace))
    assert (str(Caution.WAITS_FOR_SYNC), "dev") in codes(plan(to_dev(), manual))
    pausing = codes(plan(Pause(target=Layer(LayerKind.DEPLOYMENT, WEB)), workspace))
    assert (str(Caution.MANAGER_FIRST), "dev") in pausing
    assert str(Caution.PAUSED) not in {code for code, _ in pausing}


def test_stray_files_anywhere_and_odd_scalars_in_what_is_touched_are_named(workspace: Tree) -> None:
    stray = "deployments/prod/web/web-prod-q7t2cc/old/application.yaml"
    tree = workspace.with_files({stray: b"x: 1\n", "apps/web/values.yaml": b"tag: 1e3\nreplicas: 1\n"})
    texts = [one.text for one in plan(edit(LayerKind.APP, "web"), tree).warnings if one.code is Caution.FILE]
    assert [
        f"{stray}: a second application.yaml: the environment's Manager would apply it too",
        "apps/web/values.yaml:1:6: 1e3 is text for YAML 1.1 and a number for helm and Argo CD: quote it",
    ] == texts


def test_namespaces_that_begin_to_meet_are_named_once(workspace: Tree) -> None:
    assert (str(Caution.NAMESPACES_MEET), "qa") in codes(plan(CreateEnvironment(name="qa", namespace="web-dev"), workspace))
    assert [] == codes(plan(CreateEnvironment(name="qa"), workspace))


def last_of_dev(workspace: Tree) -> Tree:
    return settled(Delete(id=DeploymentId("shop-api-dev-k3x7qa")).apply(workspace))


@pytest.mark.parametrize(
    ("intent", "protected", "confirmable"),
    [
        (to_dev(), (), ("dev",)),
        (edit(LayerKind.APP, "web"), ("prod",), ("dev", "prod")),
        (edit(LayerKind.ENVIRONMENT, "prod"), ("prod",), ("prod",)),
        (CreateEnvironment(name="prod", protected=False), ("prod",), ("prod",)),
        (CreateEnvironment(name="qa", kind=EnvironmentKind.PRODUCTION), (), ()),
        (Delete(id=WEB), (), (WEB,)),
        (Delete(id=DeploymentId("web-prod-q7t2cc")), ("web-prod-q7t2cc",), ("web-prod-q7t2cc",)),
        (CreateApp(app=App(name="api", chart=Chart(path="charts/service", version="1.0.0"), images={"main": AppImage(repository="a")})), (), ()),
    ],
    ids=["dev", "app", "prod", "unprotect", "new", "delete", "delete in prod", "new app"],
)  # fmt: skip
def test_what_is_protected_has_its_name_typed(
    intent: Intent, protected: tuple[str, ...], confirmable: tuple[str, ...], workspace: Tree
) -> None:
    found = plan(intent, workspace)
    assert (protected, confirmable) == (found.protected, found.confirmable)


def test_the_last_deployment_of_an_environment_takes_the_environments_name(workspace: Tree) -> None:
    found = plan(Delete(id=WEB), last_of_dev(workspace))
    assert (("dev",), ("dev",)) == (found.protected, found.confirmable)
    assert (str(Caution.LAST_ONE), "dev") in codes(found)


def test_what_an_intent_refuses_is_refused_before_anything_is_shown(workspace: Tree) -> None:
    with pytest.raises(Refused):
        plan(Deploy(app="web", targets=(new("web-dev-aaaaaa", "dev", "eu-1"),), images={"main": Image(tag="1")}), workspace)


def reads_of_a_plan(apps: int, workspace: Tree) -> set[str]:
    """The blobs that planning one deploy reads, in a repository with so many more apps, each deployed to the same environment."""
    tree = workspace
    for number in range(apps):
        tree = git_app(f"app{number}").apply(tree)
        target = new(f"app{number}-dev-aaaaaa", "dev")
        tree = Deploy(app=f"app{number}", targets=(target,), images={"main": Image(tag="1")}).apply(tree)
    blobs = {tree.oid(path) or "": tree.read(path) or b"" for path in tree.paths()}
    read: set[str] = set()

    def read_blob(oid: str) -> bytes:
        read.add(oid)
        return blobs[oid]

    counted = Tree(Sha("c" * 40), {path: Entry(0o100644, tree.oid(path) or "") for path in sorted(tree.paths())}, read_blob)
    plan(to_dev(), counted, renderer=Renderer())
    return read


def test_one_deploy_reads_its_own_files_and_not_the_repository(workspace: Tree) -> None:
    alone = reads_of_a_plan(0, workspace)
    assert alone == reads_of_a_plan(30, workspace)
    assert len(alone) < 20
