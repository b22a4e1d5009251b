"""Files as typed values: each misfit with its line and reason, unknown keys kept and named, a broken file blocking only its own."""

import pytest

from backends.domain.app import App
from backends.domain.environment import Environment
from backends.domain.record import Record
from backends.errors import Invalid, NotFound
from backends.gitops import files
from backends.gitops.document import problems_of, read
from backends.gitops.schema import decode
from backends.gitops.tree import Tree
from tests.gitops.example import changed, old

ENVIRONMENT = "environments/dev/environment.yaml"


def problems(path: str, text: str) -> list[str]:
    with pytest.raises(Invalid) as caught:
        files.parse(path, text.encode())
    return [str(problem) for problem in problems_of(caught.value)]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (ENVIRONMENT, "kind: prod\n", [f"{ENVIRONMENT}:1:7: invalid enum value 'prod'"]),
        (
            ENVIRONMENT,
            "kind: testing\norder: first\nclusters: [1]\n",
            [f"{ENVIRONMENT}:2:8: expected a whole number, got text", f"{ENVIRONMENT}:3:12: expected text, got a whole number: quote it"],
        ),
        (
            ENVIRONMENT,
            'locks:\n  - {by: "ada"}\n  - {until: "tomorrow"}\n',
            [f"{ENVIRONMENT}:3:13: invalid RFC3339 encoded datetime"],
        ),
        (
            ENVIRONMENT,
            'cluster: "eu-1"\nclusters: ["us-1"]\n',
            [f"{ENVIRONMENT}:1:10: the default cluster 'eu-1' is not among `clusters`"],
        ),
        (
            ENVIRONMENT,
            'namespace: "{team}-{env}"\n',
            [f"{ENVIRONMENT}:1:12: a namespace template holds lower-case letters, digits, dashes, {{app}} and {{env}}"],
        ),
        ("apps/web/app.yaml", "kind: \"git\"\nimages:\n  main: {repository: \"a\"}\n  web: {repository: 2}\n", ["apps/web/app.yaml:4:21: expected text, got a whole number: quote it"]),
        ("apps/web/app.yaml", "images:\n  \"on\": {repository: \"a\"}\n", ["apps/web/app.yaml:2:3: not a usable image name: 'on': YAML reads this word as a value that is not a string"]),
        ("apps/web/app.yaml", 'chart: {path: "a", repo: "b"}\n', ["apps/web/app.yaml:1:8: a chart is either `path` (of this repository) or `repo` and `name`"]),
        ("clusters/eu-1.yaml", 'name: "eu-2"\n', ["clusters/eu-1.yaml:1:7: the file of cluster 'eu-1' names another one"]),
        ("tiphys.yaml", 'schemaVersion: 2\nid: "x"\nslug: "acme"\n', ["tiphys.yaml:1:16: schemaVersion 2 was written by a newer Tiphys; this one knows 1"]),
        ("tiphys.yaml", 'schemaVersion: 1\nslug: "acme"\n', ["tiphys.yaml:1:1: object missing required field `id`"]),
        ("deployments/dev/web/web-dev-a/deployment.yaml", 'id: "web-dev-b"\napp: "web"\nenvironment: "dev"\ncluster: "c"\nnamespace: "n"\n',
         ["deployments/dev/web/web-dev-a/deployment.yaml:1:5: id is 'web-dev-b', but the folder says 'web-dev-a'"]),
        ("deployments/dev/web/web-dev-a/release.yaml", "images:\n  main: {tag: 12345e2}\n", ["deployments/dev/web/web-dev-a/release.yaml:2:15: expected text, got a whole number: quote it"]),
        ("deployments/dev/web/web-dev-a/application.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: \"web-dev-a\"}\nspec: {project: \"x\", destination: {}}\n",
         ["deployments/dev/web/web-dev-a/application.yaml:2:7: not an Application of Argo CD"]),
        ("environments/dev/values.yaml", "[1]\n", ["environments/dev/values.yaml:1:1: values are a mapping of keys"]),
        ("apps/web/values.yaml", "{}\nreplicas: 2\n", ["apps/web/values.yaml:2:1: text after the end of the document: helm ignores it, and what it says does nothing"]),
    ],
)  # fmt: skip
def test_a_misfit_names_file_line_column_and_reason(path: str, text: str, expected: list[str]) -> None:
    assert expected == problems(path, text)


def test_unknown_keys_are_kept_and_named_with_the_key_that_was_probably_meant() -> None:
    parsed = files.parse(ENVIRONMENT, b'kind: "testing"\npromoteForm: []\nlocks: [{by: "ada", untill: "x"}]\n')
    assert [
        f"{ENVIRONMENT}:2:1: unknown key 'promoteForm', kept as it is (did you mean promoteFrom?)",
        f"{ENVIRONMENT}:3:21: unknown key 'untill', kept as it is (did you mean until?)",
    ] == [str(warning) for warning in parsed.warnings]


def test_a_name_comes_from_the_path_and_a_key_of_that_name_is_unknown() -> None:
    value, warnings = decode(read("f.yaml", b'name: "other"\n'), Environment, {"name": "dev"})
    assert ("dev", ["f.yaml:1:1: unknown key 'name', kept as it is (did you mean namespace?)"]) == (value.name, [str(w) for w in warnings])


def test_an_empty_file_is_all_defaults() -> None:
    assert (App(), Record()) == (decode(read("f.yaml", b""), App)[0], decode(read("f.yaml", b"{}\n"), Record)[0])


@pytest.mark.parametrize(
    ("read_one", "suggestion"),
    [
        (lambda tree: files.environment(tree, "prd"), "prod"),
        (lambda tree: files.app(tree, "webb"), "web"),
        (lambda tree: files.cluster(tree, "eu1"), "eu-1"),
    ],
)
def test_a_typo_suggests_the_nearest_name(read_one: object, suggestion: str, workspace: Tree) -> None:
    with pytest.raises(NotFound) as caught:
        read_one(workspace)  # type: ignore[operator]
    assert (suggestion, f"did you mean {suggestion}?") == (caught.value.suggestion, caught.value.hint)


@pytest.mark.parametrize(
    "broken",
    [
        "apps/shop-api/app.yaml",
        "deployments/dev/shop-api/shop-api-dev-k3x7qa/release.yaml",
        "deployments/dev/shop-api/shop-api-dev-k3x7qa/application.yaml",
        "deployments/prod/web/web-prod-q7t2cc/deployment.yaml",
        "environments/prod/environment.yaml",
        "clusters/eu-1.yaml",
        "pipelines/release.yaml",
        "environments/prod/values.yaml",
    ],
)
def test_a_broken_file_blocks_only_what_depends_on_it(broken: str, workspace: Tree) -> None:
    from backends.domain.record import Image
    from backends.gitops.intents import Deploy

    tree = workspace.with_file(broken, b"{}\nkind: [\n")
    after = Deploy(app="web", targets=(old("web-dev-zz45ab", "dev"),), images={"main": Image(tag="2.0")}).apply(tree)
    folder = "deployments/dev/web/web-dev-zz45ab"
    assert {f"{folder}/release.yaml", f"{folder}/values.release.yaml"} == set(changed(tree, after))
    with pytest.raises(Invalid, match=broken):
        files.parse(broken, tree.read(broken) or b"")


@pytest.mark.parametrize(
    "broken", ["apps/web/values.yaml", "environments/dev/values.yaml", "deployments/dev/web/web-dev-zz45ab/values.yaml"]
)
@pytest.mark.parametrize("data", [b"{}\nkind: [\n", b"a: 1\na: 2\n", None])
def test_values_that_a_deployment_reads_must_be_readable_to_deploy_it(broken: str, data: bytes | None, workspace: Tree) -> None:
    from backends.domain.record import Image
    from backends.gitops.intents import Deploy

    tree = workspace.without(broken) if data is None else workspace.with_file(broken, data)
    with pytest.raises(Invalid, match=broken):
        Deploy(app="web", targets=(old("web-dev-zz45ab", "dev"),), images={"main": Image(tag="2.0")}).apply(tree)
