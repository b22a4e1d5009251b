"""Where the files of a workspace repository lie, which schema each has, and how one of them is read as a typed value.

`gitops-repo` as paths. Reading raises `NotFound` (with the nearest name that exists) or `Invalid` (with line and reason); so a file that
does not fit blocks exactly what asks for it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from backends.domain.app import App
from backends.domain.cluster import IN_CLUSTER, Cluster
from backends.domain.deployment import Deployment
from backends.domain.environment import Environment
from backends.domain.ids import parse_deployment_id, parse_slug
from backends.domain.record import Record
from backends.domain.workspace import SCHEMA_VERSION, Workspace
from backends.errors import Invalid, NotFound
from backends.gitops import sources
from backends.gitops.document import Document, Owner, Problem, read, read_all, refused
from backends.gitops.schema import decode
from backends.gitops.tree import Tree
from backends.text import clean

WORKSPACE = "tiphys.yaml"
ROOT = "bootstrap/root.yaml"
KEEP = ".gitkeep"


class Pipeline(msgspec.Struct, frozen=True):
    """What pipelines/<name>.yaml says; stages are kept as they stand."""

    stages: tuple[dict[str, Any], ...]


class Parsed(msgspec.Struct, frozen=True):
    """A file as a typed value (None for people's values and machine-owned manifests that nothing reads), and its warnings."""

    value: Workspace | Environment | App | Cluster | Deployment | Record | Pipeline | sources.Application | None
    warnings: tuple[Problem, ...] = ()


def cluster_file(name: str) -> str:
    return f"clusters/{name}.yaml"


def environment_file(name: str) -> str:
    return f"environments/{name}/environment.yaml"


def environment_values(name: str) -> str:
    return f"environments/{name}/values.yaml"


def app_file(name: str) -> str:
    return f"apps/{name}/app.yaml"


def app_values(name: str) -> str:
    return f"apps/{name}/values.yaml"


def app_base(name: str) -> str:
    """The folder of an app without a chart: a Kustomize base or plain manifests."""
    return f"apps/{name}/base"


def project_file(environment: str) -> str:
    return f"control/projects/{environment}.yaml"


def manager_file(environment: str) -> str:
    return f"control/managers/{environment}.yaml"


def environment_folder(environment: str) -> str:
    """Where the environment's deployments lie: the path of its Manager."""
    return f"deployments/{environment}"


def deployment_folder(environment: str, app: str, id: str) -> str:
    return f"deployments/{environment}/{app}/{id}"


def workspace(tree: Tree) -> Workspace:
    """The workspace, with what `bootstrap/root.yaml` says of where Argo CD reads. Raises `NotFound`, `Invalid`."""
    data = tree.read(WORKSPACE)
    if data is None:
        raise NotFound("this repository is no workspace: it has no tiphys.yaml", hint="tiphys init makes one of an empty repository")
    return _joined(tree, parse(WORKSPACE, data).value)


def environment(tree: Tree, name: str) -> Environment:
    value = _typed(tree, environment_file(name), name, "environment", environments)
    assert isinstance(value, Environment)  # noqa: S101 - the path decides the type
    return value


def app(tree: Tree, name: str) -> App:
    value = _typed(tree, app_file(name), name, "app", apps)
    assert isinstance(value, App)  # noqa: S101
    return value


def cluster(tree: Tree, name: str) -> Cluster:
    """A cluster; `in-cluster` needs no file."""
    if name == IN_CLUSTER and cluster_file(name) not in tree:
        return Cluster(name=IN_CLUSTER)
    value = _typed(tree, cluster_file(name), name, "cluster", clusters)
    assert isinstance(value, Cluster)  # noqa: S101
    return value


def environments(tree: Tree) -> tuple[str, ...]:
    """Names of all environments, in order of name."""
    return _names(tree, "environments", "/environment.yaml")


def apps(tree: Tree) -> tuple[str, ...]:
    return _names(tree, "apps", "/app.yaml")


def clusters(tree: Tree) -> tuple[str, ...]:
    """Names of all clusters, `in-cluster` first."""
    found = (path[len("clusters/") : -len(".yaml")] for path in tree.paths("clusters") if re.fullmatch(r"clusters/[^/]+\.yaml", path))
    return (IN_CLUSTER, *(name for name in found if name != IN_CLUSTER))


def nearest(name: str, names: tuple[str, ...]) -> str:
    """The name that somebody probably meant; "" when none is near."""
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return found[0] if found else ""


@lru_cache(maxsize=2048)  # one change reads tiphys.yaml, root.yaml and an environment's file once for each of its deployments
def parse(path: str, data: bytes) -> Parsed:
    """A file by the schema that its path has. A path without one gives a `Parsed` of None. Raises `Invalid`."""
    for pattern, reader in _READERS:
        match = pattern.fullmatch(path)
        if match:
            return reader(path, data, match)
    return Parsed(None)


def has_schema(path: str) -> bool:
    return any(pattern.fullmatch(path) for pattern, _ in _READERS)


def _typed(tree: Tree, path: str, name: str, what: str, names: Callable[[Tree], tuple[str, ...]]) -> object:
    data = tree.read(path)
    if data is None:
        raise NotFound(f"there is no {what} {clean(name, limit=80)!r} in this workspace", suggestion=nearest(name, names(tree)))
    return parse(path, data).value


def _names(tree: Tree, folder: str, ending: str) -> tuple[str, ...]:
    found = []
    for path in tree.paths(folder):
        name, _, rest = path[len(folder) + 1 :].partition("/")
        if f"/{rest}" == ending:
            found.append(name)
    return tuple(found)


def _joined(tree: Tree, value: object) -> Workspace:
    assert isinstance(value, Workspace)  # noqa: S101
    data = tree.read(ROOT)
    if data is None:
        raise NotFound(f"{ROOT} is missing: it says where Argo CD reads this repository")
    return _with_root(value, data)


@lru_cache(maxsize=16)
def _with_root(value: Workspace, data: bytes) -> Workspace:
    for document in read_all(ROOT, data, owner=Owner.MACHINE):
        if isinstance(document.data, dict) and document.data.get("kind") == "Application":
            source = sources.of_document(document).sources[0]
            return msgspec.structs.replace(value, repo_url=source.repo_url, revision=source.target_revision)
    raise refused(Problem(ROOT, 0, 0, "no Application in it: it says where Argo CD reads this repository"))


def _slug(document: Document, name: str, what: str) -> None:
    try:
        parse_slug(name, what)
    except Invalid as error:
        raise refused(Problem(document.path, 0, 0, f"{error.message}: {error.hint}")) from None


def _workspace(path: str, data: bytes, _: re.Match[str]) -> Parsed:
    document = read(path, data)
    value, warnings = decode(document, Workspace, {"repoUrl": "", "revision": ""})
    if value.schema_version > SCHEMA_VERSION:
        raise refused(
            document.problem(
                f"schemaVersion {value.schema_version} was written by a newer Tiphys; this one knows {SCHEMA_VERSION}", ("schemaVersion",)
            )
        )
    _slug(document, value.slug, "workspace slug")
    return Parsed(value, warnings)


def _environment(path: str, data: bytes, match: re.Match[str]) -> Parsed:
    document = read(path, data)
    value, warnings = decode(document, Environment, {"name": match[1]})
    _slug(document, match[1], "environment name")
    if value.cluster not in value.allowed_clusters:
        raise refused(document.problem(f"the default cluster {clean(value.cluster, limit=60)!r} is not among `clusters`", ("cluster",)))
    if re.search(r"\{(?!app\}|env\})", value.namespace) or not re.fullmatch(r"[a-z0-9{}-]{1,80}", value.namespace):
        raise refused(document.problem("a namespace template holds lower-case letters, digits, dashes, {app} and {env}", ("namespace",)))
    return Parsed(value, warnings)


def _app(path: str, data: bytes, match: re.Match[str]) -> Parsed:
    document = read(path, data)
    value, warnings = decode(document, App, {"name": match[1]})
    _slug(document, match[1], "app name")
    for image in value.images:
        try:
            parse_slug(image, "image name")
        except Invalid as error:
            raise refused(document.problem(f"{error.message}: {error.hint}", ("images", image), key=True)) from None
    if value.chart is not None and bool(value.chart.path) == bool(value.chart.repo):
        raise refused(document.problem("a chart is either `path` (of this repository) or `repo` and `name`", ("chart",)))
    return Parsed(value, warnings)


def _cluster(path: str, data: bytes, match: re.Match[str]) -> Parsed:
    document = read(path, data)
    value, warnings = decode(document, Cluster)
    _slug(document, match[1], "cluster name")
    if value.name != match[1]:
        raise refused(document.problem(f"the file of cluster {clean(match[1], limit=60)!r} names another one", ("name",)))
    return Parsed(value, warnings)


def _deployment(path: str, data: bytes, match: re.Match[str]) -> Parsed:
    document = read(path, data)
    value, warnings = decode(document, Deployment, {"record": {}})
    parse_deployment_id(value.id)
    for field, inside, outside in (("environment", value.environment, match[1]), ("app", value.app, match[2]), ("id", value.id, match[3])):
        if inside != outside:
            raise refused(
                document.problem(f"{field} is {clean(inside, limit=60)!r}, but the folder says {clean(outside, limit=60)!r}", (field,))
            )
    return Parsed(value, warnings)


def _record(path: str, data: bytes, _: re.Match[str]) -> Parsed:
    value, warnings = decode(read(path, data, owner=Owner.MACHINE), Record)
    return Parsed(value, warnings)


def _application(path: str, data: bytes, match: re.Match[str]) -> Parsed:
    found, problems = sources.check(path, data)
    if found is None:
        raise refused(*problems)
    if found.name != match[3]:
        document = read(path, data, owner=Owner.MACHINE)
        raise refused(
            document.problem(
                f"the Application is named {clean(found.name, limit=60)!r}, its folder {clean(match[3], limit=60)!r}", ("metadata", "name")
            )
        )
    return Parsed(found, problems)


def _values(path: str, data: bytes, _: re.Match[str], owner: Owner = Owner.PEOPLE) -> Parsed:
    document = read(path, data, owner=owner)
    if document.data is not None and not isinstance(document.data, dict):
        raise refused(document.problem("values are a mapping of keys"))
    return Parsed(None, document.warnings)


def _release_values(path: str, data: bytes, match: re.Match[str]) -> Parsed:
    return _values(path, data, match, Owner.MACHINE)


def _pipeline(path: str, data: bytes, _: re.Match[str]) -> Parsed:
    value, warnings = decode(read(path, data), Pipeline)
    return Parsed(value, warnings)


def _manifests(path: str, data: bytes, _: re.Match[str]) -> Parsed:
    read_all(path, data, owner=Owner.MACHINE)
    return Parsed(None)


_DEPLOYMENT = r"deployments/([^/]+)/([^/]+)/([^/]+)/"
_READERS: tuple[tuple[re.Pattern[str], Callable[[str, bytes, re.Match[str]], Parsed]], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (_DEPLOYMENT + r"deployment\.yaml", _deployment),
        (_DEPLOYMENT + r"release\.yaml", _record),
        (_DEPLOYMENT + r"application\.yaml", _application),
        (_DEPLOYMENT + r"values\.release\.yaml", _release_values),
        (_DEPLOYMENT + r"values\.yaml", _values),
        (r"environments/([^/]+)/environment\.yaml", _environment),
        (r"apps/([^/]+)/app\.yaml", _app),
        (r"(?:environments|apps)/[^/]+/values\.yaml", _values),
        (r"clusters/([^/]+)\.yaml", _cluster),
        (r"tiphys\.yaml", _workspace),
        (r"bootstrap/root\.yaml|control/(?:projects|managers)/[^/]+\.yaml", _manifests),
        (r"pipelines/[^/]+\.yaml", _pipeline),
    )
)
