"""Rendered text as objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import Invalid
from backends.render import hooks
from backends.render.manifests import Reader, documents, repeated
from backends.render.types import Manifest
from tests.render.charts import config_map


def read(text: str, **more: bool) -> list[Manifest]:
    return Reader(**more).read(text, "a.yaml")


def test_each_object_keeps_its_own_text() -> None:
    text = "# why\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {on: 0x10}\n"
    first, second = read(f"---\n{text}---\n\n---\nkind: B\napiVersion: x/v1\nmetadata:\n  name: b\n")
    assert text == first.text
    assert ("x", "x/v1", "B", "b", "") == (second.group, second.api_version, second.kind, second.name, second.namespace)


@pytest.mark.parametrize(
    ("head", "name", "namespace"),
    [
        ("metadata: {name: web, namespace: prod}", "web", "prod"),
        ("metadata: {generateName: web-}", "web-", ""),
        ("metadata:\n  labels: {name: other}\n  name: 'web'\n  ownerReferences: [{name: third}]", "web", ""),
        ("spec: {metadata: {name: other}, name: third}\nmetadata: {name: web}", "web", ""),
        ("x: &n web\nmetadata: {name: *n}", "web", ""),
        ("x: &m {name: web}\nmetadata: {<<: *m, namespace: prod}", "web", "prod"),
        ("metadata: &m {name: web}\ny: *m", "web", ""),
        ("name: other\nmetadata: {name: 0123}", "0123", ""),
        ("metadata:", "", ""),
        ('"metadata": {"name": "web",\t"annotations": null}', "web", ""),
    ],
)
def test_names_are_found_however_they_are_written(head: str, name: str, namespace: str) -> None:
    (one,) = read(f"apiVersion: v1\nkind: A\n{head}\n")
    assert (name, namespace) == (one.name, one.namespace)


def test_annotations_that_come_by_an_alias_count_too() -> None:
    (one,) = read("apiVersion: v1\nkind: A\nx: &a {argocd.argoproj.io/hook: PreSync}\nmetadata: {name: a, annotations: *a}\n")
    assert "PreSync" == one.hook


def test_lists_of_any_kind_are_taken_apart_with_their_text_as_it_was() -> None:
    block = "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n  data: {n: 010, y: on, s: \"1\", é: 'x'}\n"
    text = f"apiVersion: v1\nkind: ConfigMapList\nitems:\n{block}- {{apiVersion: v1, kind: B, metadata: {{name: b}}}}\n"
    first, second = read(text)
    assert "data: {n: 010, y: on, s: \"1\", é: 'x'}" in first.text
    assert ("B", "b") == (second.kind, second.name)


def test_an_empty_list_is_nothing_and_an_object_with_null_items_is_one() -> None:
    assert [] == read("apiVersion: v1\nkind: ConfigMapList\nitems: null\n")
    assert [] == read("apiVersion: v1\nkind: List\nitems: []\n")
    assert ["A"] == [one.kind for one in read("apiVersion: v1\nkind: A\nitems: null\nspec: {}\n")]


@pytest.mark.parametrize("text", ["", "---\n", "# only this\n", "null\n", "~", "\n\n---\n\n"])
def test_empty_documents_are_nothing(text: str) -> None:
    assert [] == read(text)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "[]",
        "- a",
        "? [a]\n: b\n",
        "kind: A\napiVersion: v1\n? {a: b}\n: c\n",
        '"null"',
        "kind: [A]\napiVersion: v1",
        "apiVersion: v1",
        "a: *nowhere",
    ],
)
def test_what_is_no_object_is_an_error(text: str) -> None:
    with pytest.raises(Invalid, match=r"^render: a\.yaml"):
        read(text)


def test_only_three_dashes_at_the_beginning_of_a_line_begin_a_document() -> None:
    text = "a: |\n  ---\n  b\n--- # two\nc: ----\n---- d\n---\te: f\n---"
    assert [("a: |\n  ---\n  b\n", 0), ("# two\nc: ----\n---- d\n", 3), ("e: f\n", 6), ("", 7)] == list(documents(text))


def test_the_line_that_helm_names_a_template_by_is_used_and_taken_out() -> None:
    (one,) = Reader(helm=True).read("---\n# Source: web/templates/a.yaml\n" + config_map("a"), "")
    assert config_map("a") == one.text
    with pytest.raises(Invalid, match=r"web/templates/a\.yaml: an object without kind"):
        Reader(helm=True).read("# Source: web/templates/a.yaml\na: b\n", "")
    (one,) = read("# Source: of this file\n" + config_map("a"))
    assert one.text.startswith("# Source: of this file\n")


def test_repeated_objects_are_named_once() -> None:
    one, two = read(config_map("a"))[0], read("apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}\n")[0]
    assert ("ConfigMap a is rendered more than once; the last one counts",) == repeated([one, one, one, two, two])


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, ""),
        ({"argocd.argoproj.io/hook": "PreSync"}, "PreSync"),
        ({"argocd.argoproj.io/hook": " PostSync , Sync, PostSync"}, "PostSync,Sync"),
        ({"argocd.argoproj.io/hook": "Skip"}, None),
        ({"argocd.argoproj.io/hook": "Skip,PreSync"}, "PreSync"),
        ({"argocd.argoproj.io/hook": "presync"}, None),
        ({"argocd.argoproj.io/hook": ""}, None),
        ({"argocd.argoproj.io/hook": "nonsense", "helm.sh/hook": "post-install"}, "PostSync"),
        ({"argocd.argoproj.io/hook": "SyncFail", "helm.sh/hook": "pre-install"}, "SyncFail"),
        ({"argocd.argoproj.io/hook": "Skip", "helm.sh/hook": "pre-install"}, None),
        ({"argocd.argoproj.io/hook": "PostSync,PostDelete"}, "PostSync,PostDelete"),
        ({"helm.sh/hook": "pre-install,post-upgrade"}, "PreSync,PostSync"),
        ({"helm.sh/hook": "pre-delete"}, "PreDelete"),
        ({"helm.sh/hook": "test"}, None),
        ({"helm.sh/hook": "pre-rollback"}, None),
        ({"helm.sh/hook": "crd-install"}, ""),
    ],
)
def test_phases_are_those_of_argo_cd(annotations: dict[str, str], expected: str | None) -> None:
    assert expected == hooks.phases(annotations)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, 0),
        ({"argocd.argoproj.io/sync-wave": "-3"}, -3),
        ({"argocd.argoproj.io/sync-wave": "+2", "helm.sh/hook-weight": "9"}, 2),
        ({"argocd.argoproj.io/sync-wave": "1.5", "helm.sh/hook-weight": "9"}, 9),
        ({"argocd.argoproj.io/sync-wave": "1_0"}, 0),
        ({"argocd.argoproj.io/sync-wave": " 1"}, 0),
        ({"argocd.argoproj.io/sync-wave": "٣"}, 0),
    ],
)
def test_waves_are_those_of_argo_cd(annotations: dict[str, str], expected: int) -> None:
    assert expected == hooks.wave(annotations)


PIECES = [*"ab: -[]{}&*'\"|>#?!%@\n\t<,~", "---\n", "kind: A\n", "apiVersion: v1\n", "metadata:\n  name: x\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_text_is_objects_or_an_error_that_says_so(pieces: list[str]) -> None:
    said, found = "", []
    try:
        found = read("".join(pieces))
    except Invalid as error:
        said = error.message
    assert not said or "a.yaml" in said
    assert all(one.kind for one in found)
