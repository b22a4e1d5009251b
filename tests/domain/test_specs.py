"""When a live spec is the one of application.yaml, and what manifest-generate-paths lets Argo CD notice."""

import copy
from typing import Any

import pytest
import yaml

from backends.domain import generate_paths, specs
from tests.domain.looks import HELM, SOURCE, SPEC
from tests.shared import need_shared, recording


def changed(name: str, value: Any) -> dict[str, Any]:
    """The spec with one dotted key changed; None takes it away."""
    spec = copy.deepcopy(SPEC)
    *path, last = name.split(".")
    inner = spec
    for key in path:
        inner = inner.setdefault(key, {})
    if value is None:
        inner.pop(last)
    else:
        inner[last] = value
    return spec


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("info", [{"name": "owner", "value": "web"}]),
        ("revisionHistoryLimit", 3),
        ("syncPolicy.syncOptions", []),
        ("syncPolicy.automated.allowEmpty", False),
        ("syncPolicy.automated.enabled", True),
        ("source.helm.passCredentials", False),
        ("source.helm.parameters", []),
        ("source.directory", {"recurse": False}),
        ("source.chart", ""),
        ("source.somethingNewer", "x"),
        ("source.helm.somethingNewer", {"a": 1}),
        ("destination.somethingNewer", "x"),
        ("syncPolicy.automated.somethingNewer", True),
    ],
)
def test_what_only_a_server_has_or_leaves_out_is_no_difference(name: str, value: Any) -> None:
    assert () == specs.differences(SPEC, changed(name, value))
    assert () == specs.differences(SPEC, SPEC | {"sources": None})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("project", "other", "project"),
        ("project", None, "project"),
        ("source.path", "charts/service/1.1.0", "source.path"),
        ("source.targetRevision", "v2", "source.targetRevision"),
        ("source.helm.valueFiles", [*HELM["valueFiles"], "/extra.yaml"], "source.helm.valueFiles"),
        ("source.helm.valueFiles", HELM["valueFiles"][::-1], "source.helm.valueFiles"),
        ("source.helm.parameters", [{"name": "image.tag", "value": "9"}], "source.helm.parameters"),
        ("source.kustomize", {"images": ["web:2"]}, "source.kustomize"),
        ("destination.namespace", "other", "destination.namespace"),
        ("destination.server", "https://kubernetes.default.svc", "destination.server"),
        ("syncPolicy.automated.enabled", False, "syncPolicy.automated"),
        ("syncPolicy.automated.selfHeal", None, "syncPolicy.automated"),
        ("syncPolicy.automated", {}, "syncPolicy.automated"),
        ("syncPolicy.automated", None, "syncPolicy.automated"),
    ],
)
def test_what_decides_about_a_release_is_a_difference_both_ways(name: str, value: Any, expected: str) -> None:
    assert (expected,) == specs.differences(SPEC, changed(name, value))
    assert (expected,) == specs.differences(changed(name, value), SPEC)


def test_an_empty_automated_block_is_not_an_absent_one() -> None:
    assert ("syncPolicy.automated",) == specs.differences(changed("syncPolicy.automated", {}), changed("syncPolicy.automated", None))
    assert specs.Automation(enabled=True, present=True) == specs.automation(changed("syncPolicy.automated", {}))
    assert specs.Automation() == specs.automation({"syncPolicy": None})


def test_switched_off_automation_is_paused() -> None:
    assert specs.automation(changed("syncPolicy.automated.enabled", False)).paused
    assert not specs.automation(SPEC).paused
    assert not specs.automation({}).paused


def test_values_given_inline_are_compared_to_the_letter() -> None:
    first, second = changed("source.helm.valuesObject", {"debug": False}), changed("source.helm.valuesObject", {})
    assert ("source.helm.valuesObject",) == specs.differences(first, second)


def test_several_sources_are_compared_one_by_one() -> None:
    one = {key: value for key, value in SPEC.items() if key != "source"} | {"sources": [SOURCE, {"repoURL": "x", "ref": "values"}]}
    other = one | {"sources": [SOURCE, {"repoURL": "y", "ref": "values"}]}
    assert ("sources[1].repoURL",) == specs.differences(one, other)
    assert ("sources",) == specs.differences(one, SPEC)
    assert () == specs.differences(one, one | {"source": {"repoURL": ""}})


def test_nothing_wanted_matches_nothing() -> None:
    assert not specs.matches((), SPEC)
    assert specs.matches(({}, SPEC), SPEC)


def test_a_recorded_comparison_is_about_its_own_spec() -> None:
    for name in ("019-get-app", "022-get-multi-source"):
        app = recording(name)["response"]["body"]
        assert specs.compared(app["status"]["sync"]["comparedTo"], app["spec"])
        assert not specs.compared(None, app["spec"])
        assert not specs.compared(app["status"]["sync"]["comparedTo"], SPEC)


def test_a_file_of_the_example_workspace_is_its_own_live_spec() -> None:
    for path in sorted(need_shared("example-workspace").glob("deployments/*/*/*/application.yaml")):
        document = yaml.safe_load(path.read_text())
        assert () == specs.differences(document["spec"], document["spec"])
        values = [name.lstrip("/") for source in specs.sources(document["spec"]) for name in source.get("helm", {}).get("valueFiles", ())]
        files = [name.removeprefix("$values/") for name in values]
        assert () == generate_paths.uncovered(document["metadata"]["annotations"], document["spec"], files)


@pytest.mark.parametrize(
    ("annotation", "file", "covered"),
    [
        ("", "anything", True),
        (".", "charts/service/1.0.0/templates/x.yaml", True),
        (".", "apps/web/values.yaml", False),
        ("..", "charts/service/2.0.0/x.yaml", True),
        ("templates", "charts/service/1.0.0/templates/x.yaml", True),
        ("/apps/web", "apps/web/values.yaml", True),
        ("/apps/web", "apps/website/values.yaml", False),
        ("/apps/web/", "apps/web/values.yaml", True),
        ("/apps/web/values.yaml", "apps/web/values.yaml", True),
        ("/apps/*/values.yaml", "apps/web/values.yaml", True),
        ("/apps/*", "apps/web/values.yaml", False),
        ("/apps/w?b/values.yaml", "apps/web/values.yaml", True),
        ("/apps/[^x]eb/values.yaml", "apps/web/values.yaml", True),
        ("/apps/[", "apps/web/values.yaml", False),
        (";;/apps/web;", "apps/web/values.yaml", True),
        ("/", "apps/web/values.yaml", True),
        ("/" + "*a" * 40, "a" * 60 + "b", False),
    ],
)
def test_generate_paths_cover_files_as_argo_matches_them(annotation: str, file: str, covered: bool) -> None:
    uncovered = generate_paths.uncovered({generate_paths.ANNOTATION: annotation}, SPEC, (file,))
    assert (() if covered else (file,)) == uncovered
