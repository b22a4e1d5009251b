"""Values, rollback, pause, resume, delete: what each writes, and what its commit says."""

from datetime import UTC, datetime

import pytest

from backends.domain.ids import DeploymentId, Sha
from backends.domain.record import Image
from backends.errors import BackendError, Conflict, Invalid, NotFound, Refused
from backends.gitops.intents import AnyIntent, CreateEnvironment, Delete, Deploy, EditValues, Pause, Resume, Rollback, decode, encode
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.tree import Tree
from backends.gitops.values import Edit, parse_edit
from backends.gitops.workspace_layout import LAYOUT
from tests.gitops.example import STORY, changed, old, settled

ID = DeploymentId("web-dev-zz45ab")
FOLDER = "deployments/dev/web/web-dev-zz45ab"
OLD = Sha("a" * 40)
UNTIL = datetime(2026, 11, 26, 18, tzinfo=UTC)
DEPLOYMENT = Layer(LayerKind.DEPLOYMENT, ID)
DEV = Layer(LayerKind.ENVIRONMENT, "dev")


def deployed(tree: Tree, tag: str) -> Tree:
    return settled(Deploy(app="web", targets=(old(ID, "dev"),), images={"main": Image(tag=tag)}).apply(tree))


def back(then: Tree, *, values: bool = False) -> Rollback:
    files = dict(LAYOUT.release_files(then, LAYOUT.find(then, ID)))
    if values:
        files["values.yaml"] = then.read(f"{FOLDER}/values.yaml") or b""
    return Rollback(id=ID, commit=OLD, files=files)


@pytest.mark.parametrize(
    ("layer", "path", "subject", "trailer"),
    [
        (DEPLOYMENT, f"{FOLDER}/values.yaml", "edit-values(web → dev): replicas, env.A-", ("Tiphys-Deployment", ID)),
        (Layer(LayerKind.APP, "web"), "apps/web/values.yaml", "edit-values(app:web): replicas, env.A-", ("Tiphys-App", "web")),
        (DEV, "environments/dev/values.yaml", "edit-values(environment:dev): replicas, env.A-", ("Tiphys-Env", "dev")),
    ],
)
def test_values_are_edited_at_the_layer_that_was_chosen(
    layer: Layer, path: str, subject: str, trailer: tuple[str, str], workspace: Tree
) -> None:
    tree = workspace.with_file(path, b"# ours\nenv: {A: 1, B: 2}\n")
    intent = EditValues(layer=layer, edits=(parse_edit("replicas=3"), parse_edit("env.A-")))
    after = intent.apply(tree)
    assert {path: "# ours\nenv: {B: 2}\nreplicas: 3\n"} == changed(tree, after)
    said = intent.describe(tree, after)
    assert subject == said.subject
    assert trailer in [(one.key, one.value) for one in said.trailers]
    assert "3" not in said.subject


def test_a_bound_edit_conflicts_with_somebody_who_changed_the_same_key_only(workspace: Tree) -> None:
    path = f"{FOLDER}/values.yaml"
    shown = workspace.with_file(path, b"a: 1\nb: 1\n")
    intent = EditValues(layer=DEPLOYMENT, edits=(Edit("a", 5),)).bound(shown)
    other = shown.with_file(path, b"a: 1\nb: 2\n")
    assert b"a: 5\nb: 2\n" == intent.apply(other).read(path)
    with pytest.raises(Conflict, match="they set it to 7, you wanted to set it to 5"):
        intent.apply(shown.with_file(path, b"a: 7\nb: 1\n"))


@pytest.mark.parametrize(
    ("layer", "error", "reason"),
    [
        (Layer(LayerKind.APP, "wbe"), NotFound, "there is no app 'wbe'"),
        (Layer(LayerKind.ENVIRONMENT, "dve"), NotFound, "there is no environment 'dve'"),
        (Layer(LayerKind.DEPLOYMENT, "web-dev-zz45ax"), NotFound, "there is no deployment 'web-dev-zz45ax'"),
    ],
)
def test_a_layer_that_is_not_there_suggests_the_nearest(layer: Layer, error: type[BackendError], reason: str, workspace: Tree) -> None:
    with pytest.raises(error, match=reason) as caught:
        EditValues(layer=layer, edits=(Edit("a", 1),)).apply(workspace)
    assert caught.value.hint in ("did you mean web?", "did you mean dev?", f"did you mean {ID}?")


def test_a_values_file_that_is_missing_is_said(workspace: Tree) -> None:
    with pytest.raises(NotFound, match=r"values\.yaml is missing"):
        EditValues(layer=DEPLOYMENT, edits=(Edit("a", 1),)).apply(workspace.without(f"{FOLDER}/values.yaml"))


def test_rollback_restores_the_bytes_of_the_older_release_in_a_new_change(workspace: Tree) -> None:
    now = deployed(workspace, "8d02e11")
    intent = back(workspace)
    after = intent.apply(now)
    assert {
        f"{FOLDER}/{name}": (workspace.read(f"{FOLDER}/{name}") or b"").decode() for name in ("release.yaml", "values.release.yaml")
    } == changed(now, after)
    said = intent.describe(now, after)
    assert "rollback(web → dev): 8d02e11 → 1f3c9ab" == said.subject
    assert ("Tiphys-From", f"{ID}@{OLD}") in [(one.key, one.value) for one in said.trailers]
    assert {} == changed(after, intent.apply(settled(after)))


def test_rollback_over_a_chart_version_moves_the_application_and_keeps_a_pause(workspace: Tree) -> None:
    charts = {p.replace("1.0.0", "1.1.0"): workspace.read(p) or b"" for p in workspace.paths("charts/service/1.0.0")}
    tree = workspace.with_files(charts)
    now = settled(Deploy(app="web", targets=(old(ID, "dev"),), chart_version="1.1.0").apply(tree))
    now = settled(Pause(target=DEPLOYMENT, until=UNTIL).apply(now))
    after = back(workspace).apply(now)
    application = (after.read(f"{FOLDER}/application.yaml") or b"").decode()
    assert 'path: "charts/service/1.0.0"' in application
    assert "enabled: false" in application


def test_values_go_back_only_when_asked(workspace: Tree) -> None:
    path = f"{FOLDER}/values.yaml"
    now = deployed(workspace.with_file(path, b"replicas: 9\n"), "8d02e11")
    assert b"replicas: 9\n" == back(workspace).apply(now).read(path)
    after = back(workspace, values=True).apply(now)
    assert workspace.read(path) == after.read(path)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "commit aaaaaaaaaa holds no release of web-dev-zz45ab"),
        ({"release.yaml": b"{}\n", "../../x": b""}, "not files of a release"),
        ({"release.yaml": b"images: 3\n"}, r"release\.yaml:1:9: expected a mapping, got a whole number"),
    ],
)
def test_older_files_that_do_not_fit_are_refused(files: dict[str, bytes], reason: str, workspace: Tree) -> None:
    with pytest.raises(Invalid, match=reason):
        Rollback(id=ID, commit=OLD, files=files).apply(workspace)


def test_a_pause_is_for_people_and_for_argo_cd(workspace: Tree) -> None:
    intent = Pause(target=DEPLOYMENT, until=UNTIL, reason="load test")
    after = intent.apply(workspace)
    difference = changed(workspace, after)
    assert {f"{FOLDER}/deployment.yaml", f"{FOLDER}/application.yaml"} == set(difference)
    before = (workspace.read(f"{FOLDER}/deployment.yaml") or b"").decode()
    assert f'{before}paused: {{until: "2026-11-26T18:00:00Z", reason: "load test"}}\n' == difference[f"{FOLDER}/deployment.yaml"]
    application = (workspace.read(f"{FOLDER}/application.yaml") or b"").decode()
    paused = application.replace("{prune: true, selfHeal: true}", "{prune: true, selfHeal: true, enabled: false}")
    assert paused == difference[f"{FOLDER}/application.yaml"]
    assert "pause(web → dev): until 2026-11-26T18:00:00Z" == intent.describe(workspace, after).subject
    assert {} == changed(after, intent.apply(settled(after)))


def test_resume_gives_back_the_bytes_of_before_the_pause(workspace: Tree) -> None:
    for target in (DEPLOYMENT, DEV):
        paused = settled(Pause(target=target, until=UNTIL, reason="x").apply(workspace))
        assert changed(workspace, paused)
        assert {} == changed(workspace, Resume(target=target).apply(paused))
        assert {} == changed(workspace, Resume(target=target).apply(workspace))


def test_an_environment_is_paused_with_all_its_deployments_and_one_that_is_paused_itself_stays_so(workspace: Tree) -> None:
    one = settled(Pause(target=DEPLOYMENT, until=UNTIL).apply(workspace))
    all_of_them = settled(Pause(target=DEV, until=UNTIL, reason="x").apply(one))
    assert {"environments/dev/environment.yaml", "deployments/dev/shop-api/shop-api-dev-k3x7qa/application.yaml"} == set(
        changed(one, all_of_them)
    )
    environment = (all_of_them.read("environments/dev/environment.yaml") or b"").decode()
    assert 'protected: false\npaused: {until: "2026-11-26T18:00:00Z", reason: "x"}\nallow:' in environment
    assert {} == changed(one, Resume(target=DEV).apply(all_of_them))


@pytest.mark.parametrize(
    ("prepare", "intent", "error", "reason"),
    [
        (CreateEnvironment(name="dev", automated=False), Pause(target=DEPLOYMENT), Refused, "dev is not automated"),
        (Pause(target=DEV), Resume(target=DEPLOYMENT), Refused, "web-dev-zz45ab is not paused by itself: all of dev is"),
        (None, Pause(target=Layer(LayerKind.APP, "web")), Invalid, "an app is not paused as a whole"),
        (None, Pause(target=DEPLOYMENT, reason="a\nTiphys-Op: x"), Invalid, "a reason is one line"),
        (None, Pause(target=Layer(LayerKind.ENVIRONMENT, "dve")), NotFound, "there is no environment 'dve'"),
    ],
)
def test_a_pause_that_would_mean_nothing_is_refused(
    prepare: AnyIntent | None, intent: AnyIntent, error: type[BackendError], reason: str, workspace: Tree
) -> None:
    tree = workspace if prepare is None else settled(prepare.apply(workspace))
    with pytest.raises(error, match=reason):
        intent.apply(tree)


def test_delete_removes_the_folder_and_keeps_the_environment_alive(workspace: Tree) -> None:
    intent = Delete(id=ID)
    after = intent.apply(workspace)
    assert dict.fromkeys(workspace.paths(FOLDER)) == changed(workspace, after)
    said = intent.describe(workspace, after)
    assert "delete(web → dev): web-dev-zz45ab" == said.subject
    assert ("Tiphys-Deployment", ID) in [(one.key, one.value) for one in said.trailers]
    without_keep = workspace.without("deployments/dev/.gitkeep")
    for id in (ID, "shop-api-dev-k3x7qa"):
        without_keep = Delete(id=DeploymentId(id)).apply(without_keep)
    assert ["deployments/dev/.gitkeep"] == list(without_keep.paths("deployments/dev"))


def test_what_was_deleted_already_is_not_there(workspace: Tree) -> None:
    with pytest.raises(NotFound, match="there is no deployment 'web-dev-zz45ab'"):
        Delete(id=ID).apply(Delete(id=ID).apply(workspace))


@pytest.mark.parametrize(
    "intent",
    [
        *STORY,
        Rollback(id=ID, commit=OLD, files={"release.yaml": b"images: {}\n\xff"}),
        EditValues(layer=DEPLOYMENT, edits=(Edit("a", 1.5), Edit("b", None), Edit("c", True), Edit("d", remove=True))),
        Pause(target=DEV, until=UNTIL, reason="ü"),
        Resume(target=DEPLOYMENT),
        Delete(id=ID),
    ],
    ids=lambda intent: type(intent).__name__,
)
def test_an_intent_survives_the_journal(intent: AnyIntent) -> None:
    assert intent == decode(encode(intent))


def test_a_bound_edit_survives_the_journal(workspace: Tree) -> None:
    intent = EditValues(layer=DEPLOYMENT, edits=(Edit("a", 1), Edit("replicas", 2))).bound(workspace)
    assert intent == decode(encode(intent))


@pytest.mark.parametrize("data", [b"", b"{}", b'{"type":"promote"}', b'{"type":"delete"}', b"\xff"])
def test_a_journal_of_another_version_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid, match="not a change that this version knows"):
        decode(data)
