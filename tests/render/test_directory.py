"""Folders of plain manifests, read as Argo CD's repository server reads them."""

import json

import pytest

from backends.errors import Invalid
from backends.render import directory
from backends.render.globs import matches
from backends.render.renderer import Renderer
from backends.render.types import Rendered, RenderRequest, SourceKind
from tests.render.charts import config_map


def rendered(files: dict[str, str | bytes], path: str = "plain", **more: object) -> Rendered:
    data = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
    return directory.render(RenderRequest(kind=SourceKind.DIRECTORY, files=data, path=path, **more))  # type: ignore[arg-type]


def names(*args: object, **more: object) -> list[str]:
    return [one.name for one in rendered(*args, **more).manifests]  # type: ignore[arg-type]


def test_files_of_the_folder_are_read_in_order_several_documents_each() -> None:
    files = {
        "plain/b.yml": config_map("b"),
        "plain/a.yaml": f"---\n{config_map('a1')}\n---\n# nothing\n---\n{config_map('a2')}",
        "plain/c.json": json.dumps(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "annotations": {"argocd.argoproj.io/sync-wave": "2"}}}
        ),
        "plain/README.md": "# kind: no",
        "plain/below/d.yaml": config_map("d"),
        "other/e.yaml": config_map("e"),
    }
    found = rendered(files)
    assert ["a1", "a2", "b", "c"] == [one.name for one in found.manifests]
    assert 2 == found.manifests[3].wave
    assert ("plain files", "") == (found.by, found.missing)
    assert ["a1", "a2", "b", "d", "c"] == sorted(names(files, recurse=True), key=["a1", "a2", "b", "d", "c"].index)
    assert ["d", "e", "a1", "a2", "b", "c"] == sorted(names(files, path=".", recurse=True), key=["d", "e", "a1", "a2", "b", "c"].index)


def test_include_and_exclude_are_argo_cds_globs() -> None:
    files = {
        f"deployments/prod/{name}": config_map(name.replace("/", "-").removesuffix(".yaml"))
        for name in ("web/w1/application.yaml", "web/w1/values.yaml", "api/a1/application.yaml")
    }
    assert ["api-a1-application", "web-w1-application"] == names(
        files, path="deployments/prod", recurse=True, include="*/*/application.yaml"
    )
    assert ["web-w1-application"] == names(files, path="deployments/prod", recurse=True, include="*/application.yaml", exclude="{api,db}/*")
    assert [] == names(files, path="deployments/prod", include="*/application.yaml")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.yaml", "a/b/c.yaml", True),
        ("**/c.yaml", "a/b/c.yaml", True),
        ("?.yaml", "a.yaml", True),
        ("?.yaml", "ab.yaml", False),
        ("[a-c].yaml", "b.yaml", True),
        ("[!a-c].yaml", "b.yaml", False),
        ("[ab].yaml", "b.yaml", True),
        ("{a*,b*}/*/application.yaml", "beta/x/application.yaml", True),
        ("{a*,b*}/*/application.yaml", "gamma/x/application.yaml", False),
        ("{a,{b,c}d}.yaml", "cd.yaml", True),
        (r"\*.yaml", "*.yaml", True),
        (r"\*.yaml", "a.yaml", False),
        ("a.yaml", "aXyaml", False),
        ("a,b", "a,b", True),
    ],
)
def test_globs_match_as_argo_cds_do(pattern: str, path: str, expected: bool) -> None:
    assert expected == matches(pattern, path)


@pytest.mark.parametrize("pattern", ["{a", "[a", "[]", "[!]"])
def test_a_glob_that_is_not_closed_is_an_error(pattern: str) -> None:
    with pytest.raises(Invalid, match="not a glob"):
        matches(pattern, "a")


def test_what_is_no_manifest_is_passed_over_and_a_broken_manifest_is_an_error() -> None:
    other = {
        "plain/values.yaml": "a: 1\n",
        "plain/list.yaml": "- a\n",
        "plain/broken.yaml": "a: [",
        "plain/empty.yaml": "",
        "plain/a.yaml": config_map("a"),
    }
    assert ["a"] == names(other)
    with pytest.raises(Invalid, match=r"plain/b\.yaml:4: not YAML: "):
        rendered({"plain/b.yaml": "apiVersion: v1\nkind: A\nmetadata: {}\nspec: ]\n"})
    with pytest.raises(Invalid, match=r"plain/b\.yaml:6: not YAML: "):
        rendered({"plain/b.yaml": f"{config_map('a')}---\nspec: ]\n"})


def test_a_json_file_holds_one_object() -> None:
    with pytest.raises(Invalid, match=r"plain/a\.json: not one JSON object"):
        rendered({"plain/a.json": "{}{}"})


def test_marked_files_are_skipped_and_byte_order_marks_are_not_text() -> None:
    marked = f"# +argocd:skip-file-rendering\n{config_map('skipped')}"
    files: dict[str, str | bytes] = {
        "plain/a.yaml": marked,
        "plain/b.yaml": "\ufeff" + config_map("b"),
        "plain/c.yaml": config_map("c").encode("utf-16"),
    }
    assert ["b", "c"] == names(files)


def test_jsonnet_is_not_rendered_here() -> None:
    assert "not rendered here: plain/a.jsonnet is Jsonnet" == rendered({"plain/a.jsonnet": "{}"}).missing


def test_more_than_argo_cd_reads_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MOST_BYTES", 1000)
    with pytest.raises(Invalid, match="of manifests, which Argo CD refuses"):
        rendered({"plain/a.yaml": config_map("a", '{a: "' + "x" * 1000 + '"}')})


def test_the_renderer_needs_no_program_for_it() -> None:
    renderer = Renderer(programs="")
    request = RenderRequest(kind=SourceKind.DIRECTORY, files={"plain/a.yaml": config_map("a").encode()}, path="plain")
    assert ["a"] == [one.name for one in renderer.render(request).manifests]
    renderer.close()
