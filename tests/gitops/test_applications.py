"""application.yaml in every form: options merged in, kustomizations, plain folders, charts from elsewhere; and what Argo CD reads by it."""

import pytest

from backends.domain.app import App, AppImage
from backends.domain.record import Image
from backends.errors import Invalid
from backends.gitops import files, sources
from backends.gitops.document import problems_of
from backends.gitops.intents import CreateApp, Deploy, EditValues, Pause
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.sources import Reads
from backends.gitops.tree import Tree
from backends.gitops.values import Edit
from backends.gitops.workspace_layout import LAYOUT
from tests.gitops.example import DIGEST, changed, new, old, settled

FOLDER = "deployments/dev/web/web-dev-zz45ab"
BASE = "apps/kust/base"
OVERLAY = "deployments/dev/kust/kust-dev-aaaaaa"


def with_text(tree: Tree, path: str, text: str) -> Tree:
    return tree.with_file(path, (tree.read(path) or b"") + text.encode())


def redeployed(tree: Tree) -> str:
    """application.yaml of web in dev, derived anew (paused, so that something moves it)."""
    after = LAYOUT.with_application(tree, LAYOUT.find(tree, old("web-dev-zz45ab", "dev").id))
    return (after.read(f"{FOLDER}/application.yaml") or b"").decode()


def kustomized(workspace: Tree) -> Tree:
    app = App(name="kust", images={"main": AppImage(repository="registry.example.org/acme/kust")})
    tree = CreateApp(app=app).apply(workspace)
    return settled(
        tree.with_files(
            {
                f"{BASE}/kustomization.yaml": b"resources: [deployment.yaml]\n",
                f"{BASE}/deployment.yaml": b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: kust}\n",
            }
        )
    )


def test_options_are_merged_from_app_environment_and_deployment(workspace: Tree) -> None:
    tree = with_text(
        workspace,
        "apps/web/app.yaml",
        'argocd:\n  syncOptions: ["ServerSideApply=true"]\n  annotations: {team: "a"}\n  labels: {tiphys.dev/app: "stolen", own: "1"}\n'
        '  ignoreDifferences:\n    - {group: "apps", kind: "Deployment", jsonPointers: ["/spec/replicas"]}\n',
    )
    tree = with_text(
        tree, "environments/dev/environment.yaml", 'argocd: {annotations: {team: "b"}, retry: {limit: 1}, revisionHistoryLimit: 3}\n'
    )
    tree = with_text(
        tree,
        f"{FOLDER}/deployment.yaml",
        'argocd: {syncOptions: ["CreateNamespace=false"], managedNamespaceMetadata: {labels: {istio: "on"}}}\n',
    )
    text = redeployed(tree)
    for line in (
        '  annotations: {argocd.argoproj.io/manifest-generate-paths: "/charts/service/1.0.0;/apps/web/values.yaml;'
        f'/environments/dev/values.yaml;/{FOLDER}/values.yaml;/{FOLDER}/values.release.yaml", team: "b"}}\n',
        'tiphys.dev/app: "web", tiphys.dev/environment: "dev", tiphys.dev/cluster: "in-cluster", own: "1"}\n',
        "    retry: {limit: 1}\n",
        '    syncOptions: ["CreateNamespace=false", "ServerSideApply=true"]\n',
        '    managedNamespaceMetadata: {labels: {istio: "on"}}\n',
        '  ignoreDifferences:\n    - {group: "apps", kind: "Deployment", jsonPointers: ["/spec/replicas"]}\n',
        "  revisionHistoryLimit: 3\n",
    ):
        assert line in text
    assert "stolen" not in text
    assert "web-dev-zz45ab" == sources.application("x.yaml", text.encode()).name


def test_a_kustomize_app_gets_an_overlay_instead_of_values(workspace: Tree) -> None:
    tree = kustomized(workspace)
    intent = Deploy(app="kust", targets=(new("kust-dev-aaaaaa", "dev"),), images={"main": Image(tag="1")})
    after = settled(intent.apply(tree))
    assert {f"{OVERLAY}/{name}" for name in ("application.yaml", "deployment.yaml", "kustomization.yaml", "release.yaml")} == set(
        changed(tree, after)
    )
    assert (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        'resources: ["../../../../apps/kust/base"]\nimages:\n  - {name: "registry.example.org/acme/kust", newTag: "1"}\n'
    ) == (after.read(f"{OVERLAY}/kustomization.yaml") or b"").decode()
    text = (after.read(f"{OVERLAY}/application.yaml") or b"").decode()
    assert f'    path: "{OVERLAY}"\n  syncPolicy:' in text
    assert f'manifest-generate-paths: "/{BASE};/{OVERLAY}/kustomization.yaml"' in text
    place = LAYOUT.find(after, old("kust-dev-aaaaaa", "dev").id)
    found = LAYOUT.reads(after, place)
    assert {f"{OVERLAY}/kustomization.yaml", f"{BASE}/kustomization.yaml", f"{BASE}/deployment.yaml"} == set(found.files)
    assert () == sources.unwatched(LAYOUT.application(after, place), found)


def test_a_new_image_of_a_kustomize_app_changes_one_line_and_a_digest_takes_the_place_of_the_tag(workspace: Tree) -> None:
    tree = kustomized(workspace)
    first = Deploy(app="kust", targets=(new("kust-dev-aaaaaa", "dev"),), images={"main": Image(tag="1")})
    path = f"{OVERLAY}/kustomization.yaml"
    tree = with_text(settled(first.apply(tree)), path, "patches: []  # ours\n")
    image = Image(repository="mirror.example.org/kust", tag="2", digest=DIGEST)
    again = Deploy(app="kust", targets=(old("kust-dev-aaaaaa", "dev"),), images={"main": image})
    after = (again.apply(tree).read(path) or b"").decode()
    before = (tree.read(path) or b"").decode()
    assert before.replace('newTag: "1"}', f'newName: "mirror.example.org/kust", digest: "{DIGEST}"}}') == after
    with pytest.raises(Invalid, match="has no values: its app is not a chart"):
        EditValues(layer=Layer(LayerKind.DEPLOYMENT, "kust-dev-aaaaaa"), edits=(Edit("a", 1),)).apply(tree)


def test_a_plain_folder_is_deployed_as_it_stands(workspace: Tree) -> None:
    tree = CreateApp(app=App(name="plain")).apply(workspace)
    tree = with_text(tree, "apps/plain/app.yaml", "argocd: {directory: {recurse: true}}\n")
    intent = Deploy(app="plain", targets=(new("plain-dev-aaaaaa", "dev"),))
    with pytest.raises(Invalid, match="names no chart, and apps/plain/base/ is empty"):
        intent.apply(tree)
    tree = tree.with_file("apps/plain/base/config.yaml", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    after = intent.apply(tree)
    text = (after.read("deployments/dev/plain/plain-dev-aaaaaa/application.yaml") or b"").decode()
    assert '    path: "apps/plain/base"\n    directory: {recurse: true}\n' in text
    place = LAYOUT.find(after, old("plain-dev-aaaaaa", "dev").id)
    assert Reads(folders=("apps/plain/base",)) == LAYOUT.reads(after, place)


def test_a_chart_from_elsewhere_comes_first_and_the_values_by_reference(workspace: Tree) -> None:
    place = LAYOUT.find(workspace, old("exporter-prod-n4w6ty", "prod").id)
    found = LAYOUT.application(workspace, place)
    assert (1, ("0.1.0", "main")) == (found.ref_index, tuple(s.target_revision for s in found.sources))
    folder = place.folder
    expected = ("apps/exporter/values.yaml", "environments/prod/values.yaml", f"{folder}/values.yaml", f"{folder}/values.release.yaml")
    assert expected == found.value_files == LAYOUT.reads(workspace, place).files


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ('source: {path: "c", helm: {valueFiles: ["values.yaml", "../x.yaml", "/y.yaml", "https://h/z.yaml", "../../../up.yaml"]}}', ("c/values.yaml", "x.yaml", "y.yaml")),
        ('sources: [{chart: "a", helm: {valueFiles: ["$v/x.yaml", "$other/y.yaml"]}}, {ref: "v"}]', ("x.yaml",)),
    ],
)  # fmt: skip
def test_value_files_are_found_as_argo_cd_finds_them(spec: str, expected: tuple[str, ...]) -> None:
    text = f'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: "x"}}\nspec:\n  project: "p"\n  destination: {{}}\n  {spec}\n'
    assert expected == sources.application("application.yaml", text.encode()).value_files


@pytest.mark.parametrize(
    ("watched", "path", "expected"),
    [
        ("/charts/service/1.0.0", "charts/service/1.0.0/templates/x.yaml", True),
        ("/charts/service/1.0.0", "charts/service/1.0.01/x.yaml", False),
        ("/apps/*/values.yaml", "apps/web/values.yaml", True),
        ("/apps/*/values.yaml", "apps/web/sub/values.yaml", False),
        (".", "charts/service/1.0.0/x", True),
        ("../../other", "charts/other/x", True),
        ("/a;/b", "b/x", True),
        ("", "anything", True),
    ],
)
def test_a_path_is_watched_as_argo_cd_watches_it(watched: str, path: str, expected: bool) -> None:
    text = (
        'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: "x"\n'
        f'  annotations: {{argocd.argoproj.io/manifest-generate-paths: "{watched}"}}\n'
        'spec:\n  project: "p"\n  destination: {}\n  source: {path: "charts/service/1.0.0"}\n'
    )
    assert expected == sources.watches(sources.application("application.yaml", text.encode()), path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b"kind: Application", b"kind: AppProject"), "2:7: not an Application of Argo CD"),
        ((b"  source:\n", b"  origin:\n"), "an Application has either `source` or `sources`"),
        ((b'name: "web-dev-zz45ab"', b'name: "web-dev-other"'), "the Application is named 'web-dev-other', its folder 'web-dev-zz45ab'"),
        ((b"apiVersion", b"# +argocd:skip-file-rendering\napiVersion"), "Argo CD skips the file"),
        ((b'project: "acme--dev"', b"project: &p acme--dev"), "an anchor in a machine-owned file"),
    ],
)
def test_an_application_that_argo_cd_would_take_otherwise_is_named(change: tuple[bytes, bytes], reason: str, workspace: Tree) -> None:
    path = f"{FOLDER}/application.yaml"
    data = (workspace.read(path) or b"").replace(*change, 1)
    try:
        said = files.parse(path, data).warnings
    except Invalid as error:
        said = problems_of(error)
    assert reason in str(said[0])


def test_automation_is_read_from_the_application(workspace: Tree) -> None:
    id = old("web-dev-zz45ab", "dev").id
    paused = Pause(target=Layer(LayerKind.DEPLOYMENT, id)).apply(workspace)
    assert (True, False) == tuple(LAYOUT.application(tree, LAYOUT.find(tree, id)).automated for tree in (workspace, paused))
