"""What holds of every intent, whatever else is in the repository."""

from hypothesis import assume, given
from hypothesis import strategies as st

from backends.domain.app import App, AppImage, Chart
from backends.domain.environment import EnvironmentKind
from backends.domain.ids import DeploymentId, Sha
from backends.domain.record import Image
from backends.errors import BackendError
from backends.gitops import files
from backends.gitops.document import read_all
from backends.gitops.intents import (
    AnyIntent,
    CreateApp,
    CreateCluster,
    CreateEnvironment,
    Delete,
    Deploy,
    EditValues,
    Pause,
    Resume,
    Rollback,
)
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.sources import unwatched
from backends.gitops.tree import Tree
from backends.gitops.values import Edit
from backends.gitops.workspace_layout import LAYOUT
from tests.gitops.example import add_on, changed, new, old, settled

WORDS = st.sampled_from(["a", "replicas", "env.LOG_LEVEL", r"x\.y", "list[0].name", "on"])
TAGS = st.sampled_from(["8d02e11", "12345e2", "on", "0x10", "20260101", "1.2.3", "null", "v1", "00e12"])
IDS = st.sampled_from(["shop-api-dev-k3x7qa", "web-dev-zz45ab", "web-prod-e5u6aa", "web-prod-q7t2cc", "shop-api-prod-p2m5vd"])
VALUES = st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["x", "on", "1e3", "ü", "a: b", ""])
NAMES = st.sampled_from(["api", "jobs", "queue"])
DIGESTS = st.sampled_from(["", "sha256:" + "ab" * 32])


def target(id: str) -> object:
    _, environment, _ = id.rsplit("-", 2)
    return old(id, environment, "eu-1" if id == "web-prod-e5u6aa" else "in-cluster")


DEPLOYS = st.builds(
    lambda id, tag, digest: Deploy(app=id.rsplit("-", 2)[0], targets=(target(id),), images={"main": Image(tag=tag, digest=digest)}),
    IDS,
    TAGS,
    DIGESTS,
)
FIRST = st.builds(
    lambda env, tag: Deploy(app="exporter" if tag == "v1" else "shop-api", targets=(new(f"first-{env}-aaaaaa", env, "eu-1"),), images={} if tag == "v1" else {"main": Image(tag=tag)}, chart_version="0.2.0" if tag == "v1" else ""),
    st.just("prod"),
    TAGS,
)  # fmt: skip
LAYERS = st.one_of(
    st.builds(lambda id: Layer(LayerKind.DEPLOYMENT, id), IDS),
    st.sampled_from([Layer(LayerKind.APP, "web"), Layer(LayerKind.ENVIRONMENT, "dev"), Layer(LayerKind.ENVIRONMENT, "prod")]),
)
EDITS = st.builds(lambda layer, key, value: EditValues(layer=layer, edits=(Edit(key, value),)), LAYERS, WORDS, VALUES)
PAUSES = st.builds(
    lambda layer, reason: Pause(target=layer, reason=reason), LAYERS.filter(lambda one: one.kind is not LayerKind.APP), st.sampled_from(["", "x: y"])
)  # fmt: skip
RESUMES = st.builds(lambda layer: Resume(target=layer), LAYERS.filter(lambda one: one.kind is not LayerKind.APP))
DELETES = st.builds(lambda id: Delete(id=DeploymentId(id)), IDS)
ROLLBACKS = st.builds(
    lambda id, tag: Rollback(
        id=DeploymentId(id),
        commit=Sha("b" * 40),
        files={
            "release.yaml": f'images:\n  main: {{repository: "r/x", tag: "{tag}", digest: ""}}\nchart: {{version: "1.0.0"}}\n'.encode(),
            "values.release.yaml": f'image: {{repository: "r/x", tag: "{tag}", digest: ""}}\n'.encode(),
        },
    ),
    IDS,
    TAGS,
)
CREATES = st.one_of(
    st.builds(lambda name: CreateApp(app=App(name=name, chart=Chart(path="charts/service", version="1.0.0"), images={"main": AppImage(repository="r/x")})), NAMES),
    st.builds(lambda name: add_on(name, f"https://{name}.example.org"), NAMES),
    st.builds(lambda name, kind: CreateEnvironment(name=name, kind=kind), NAMES, st.sampled_from(list(EnvironmentKind))),
    st.builds(lambda automated: CreateEnvironment(name="dev", automated=automated), st.booleans()),
    st.builds(lambda name: CreateCluster(name=name, server="https://x.example.org"), NAMES),
)  # fmt: skip
INTENTS = st.one_of(DEPLOYS, FIRST, EDITS, PAUSES, RESUMES, DELETES, ROLLBACKS, CREATES)
ONE_DEPLOYMENT = st.one_of(DEPLOYS, DELETES, ROLLBACKS, st.builds(lambda id, k, v: EditValues(layer=Layer(LayerKind.DEPLOYMENT, id), edits=(Edit(k, v),)), IDS, WORDS, VALUES))  # fmt: skip


def applied(intent: AnyIntent, tree: Tree) -> Tree:
    """The tree after an intent; an intent that is refused here is another test's."""
    try:
        return settled(intent.apply(tree))
    except BackendError:
        assume(False)
        raise


def deployment_of(intent: AnyIntent) -> str:
    if isinstance(intent, Deploy):
        return intent.targets[0].id
    return intent.layer.name if isinstance(intent, EditValues) else intent.id  # type: ignore[union-attr]


@given(INTENTS)
def test_the_same_input_gives_the_same_bytes_and_twice_is_once(workspace: Tree, intent: AnyIntent) -> None:
    after = applied(intent, workspace)
    assert {} == changed(after, applied(intent, workspace))
    if not isinstance(intent, Delete):
        assert {} == changed(after, applied(intent, after))


@given(st.lists(INTENTS, max_size=4))
def test_whatever_is_written_fits_its_schema_and_watches_all_it_reads(workspace: Tree, intents: list[AnyIntent]) -> None:
    tree = workspace
    for intent in intents:
        tree = applied(intent, tree)
    for path in tree.paths():
        if files.has_schema(path):
            assert () == files.parse(path, tree.read(path) or b"").warnings
    for place in LAYOUT.deployments(tree):
        assert () == unwatched(LAYOUT.application(tree, place), LAYOUT.reads(tree, place))
        assert (place.id, place.id) == (LAYOUT.application(tree, place).name, LAYOUT.deployment(tree, place).id)


@given(ONE_DEPLOYMENT, ONE_DEPLOYMENT)
def test_changes_of_different_deployments_commute(workspace: Tree, one: AnyIntent, other: AnyIntent) -> None:
    assume(deployment_of(one) != deployment_of(other))
    assert {} == changed(applied(other, applied(one, workspace)), applied(one, applied(other, workspace)))


@given(INTENTS, st.dictionaries(st.sampled_from(["README.md", "docs/x.md", "apps/zeta/values.yaml", "charts/other/1.0.0/Chart.yaml"]), st.binary(max_size=20)))  # fmt: skip
def test_run_again_after_somebody_elses_commit_it_changes_the_same(workspace: Tree, intent: AnyIntent, foreign: dict[str, bytes]) -> None:
    there = settled(workspace.with_files(foreign))
    assert changed(workspace, applied(intent, workspace)) == changed(there, applied(intent, there))


@given(DEPLOYS, EDITS)
def test_a_deploy_and_an_edit_of_values_commute_even_on_one_deployment(workspace: Tree, deploy: Deploy, edit: EditValues) -> None:
    assert {} == changed(applied(edit, applied(deploy, workspace)), applied(deploy, applied(edit, workspace)))


@given(DEPLOYS | FIRST | PAUSES | CREATES)
def test_what_is_written_is_read_alike_by_pyyaml_and_helm(workspace: Tree, helm_reads: object, intent: AnyIntent) -> None:
    after = applied(intent, workspace)
    for path, text in changed(workspace, after).items():
        if text is not None and path.endswith(".yaml") and "/charts/" not in path:
            for document in read_all(path, text.encode()):
                start = document.text
                if "\n---\n" not in start:
                    assert (document.data or {}) == helm_reads(start)  # type: ignore[operator]
