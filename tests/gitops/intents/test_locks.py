"""A lock refuses every intent that changes what its environment runs, until it ends."""

from datetime import UTC, datetime, timedelta

import pytest

from backends.domain.ids import DeploymentId, Sha
from backends.domain.record import Image
from backends.errors import Refused
from backends.gitops.intents import AnyIntent, CreateEnvironment, Delete, Deploy, EditValues, Pause, Resume, Rollback, locks
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.tree import Tree
from backends.gitops.values import Edit
from tests.gitops.example import changed, old

ENDS = datetime(2026, 11, 30, 8, tzinfo=UTC)
LOCK = b'locks: [{by: "ada", reason: "black friday", until: "2026-11-30T08:00:00Z"}]\n'
ID = DeploymentId("web-prod-q7t2cc")


def locked(tree: Tree) -> Tree:
    path = "environments/prod/environment.yaml"
    return tree.with_file(path, (tree.read(path) or b"") + LOCK)


INTENTS: tuple[AnyIntent, ...] = (
    Deploy(app="web", targets=(old("web-dev-zz45ab", "dev"), old("web-prod-q7t2cc", "prod")), images={"main": Image(tag="2")}),
    EditValues(layer=Layer(LayerKind.DEPLOYMENT, ID), edits=(Edit("a", 1),)),
    EditValues(layer=Layer(LayerKind.ENVIRONMENT, "prod"), edits=(Edit("a", 1),)),
    EditValues(layer=Layer(LayerKind.APP, "web"), edits=(Edit("a", 1),)),
    Rollback(id=ID, commit=Sha("1" * 40), files={"release.yaml": b"{}\n"}),
    Pause(target=Layer(LayerKind.DEPLOYMENT, ID)),
    Pause(target=Layer(LayerKind.ENVIRONMENT, "prod")),
    Resume(target=Layer(LayerKind.DEPLOYMENT, ID)),
    Delete(id=ID),
    CreateEnvironment(name="prod", automated=False),
)


@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: type(intent).__name__)
def test_a_locked_environment_refuses_who_why_and_until_when(intent: AnyIntent, workspace: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "now", lambda: ENDS - timedelta(seconds=1))
    with pytest.raises(Refused, match="prod is locked by ada until 2026-11-30T08:00:00Z: black friday"):
        intent.apply(locked(workspace))


def test_a_lock_that_has_ended_refuses_nothing(workspace: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "now", lambda: ENDS)
    tree = locked(workspace)
    assert changed(tree, INTENTS[0].apply(tree))


def test_a_lock_of_one_environment_lets_others_be_changed(workspace: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "now", lambda: ENDS - timedelta(seconds=1))
    tree = locked(workspace)
    assert changed(tree, Deploy(app="web", targets=(old("web-dev-zz45ab", "dev"),), images={"main": Image(tag="2")}).apply(tree))


def test_a_lock_without_an_end_holds(workspace: Tree) -> None:
    path = "environments/prod/environment.yaml"
    tree = workspace.with_file(path, (workspace.read(path) or b"") + b'locks: [{by: "ada"}]\n')
    with pytest.raises(Refused, match=r"prod is locked by ada\Z"):
        Delete(id=ID).apply(tree)
