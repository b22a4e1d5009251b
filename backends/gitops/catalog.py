"""A whole workspace repository as typed values: what lists show. A file that does not fit is a problem with a line, and hides nothing else.

Opening thousands of deployments must not parse them again: parsed files are kept by blob id in one private file (`parsed`). One change of
one deployment needs none of this: intents read what they touch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from backends.domain.app import App
from backends.domain.cluster import IN_CLUSTER, Cluster
from backends.domain.deployment import Deployment
from backends.domain.environment import Environment
from backends.domain.ids import DeploymentId
from backends.domain.record import Record
from backends.domain.workspace import Workspace
from backends.engine import Cancel
from backends.errors import Invalid, NotFound
from backends.gitops import checks, files, sources
from backends.gitops.document import Problem, problems_of
from backends.gitops.parsed import Later, ParsedFiles
from backends.gitops.sources import Application
from backends.gitops.tree import Tree
from backends.text import clean

OnRead = Callable[[int, int], None]
"""`(done, total)` files parsed; called every `STEP` files, only where something has to be parsed."""
STEP = 250
_DEPLOYMENT_FILES = frozenset(("deployment.yaml", "release.yaml", "application.yaml", "values.yaml"))
_SHARED = ("tiphys.yaml", "bootstrap/", "apps/", "clusters/", "environments/", "control/", "pipelines/")


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the repository names. Mappings are in order of name, environments in order of promotion."""

    workspace: Workspace | None = None
    """None: tiphys.yaml or bootstrap/root.yaml is missing or does not fit (`problems` says which)."""
    apps: Mapping[str, App] = {}
    environments: Mapping[str, Environment] = {}
    clusters: Mapping[str, Cluster] = {}
    """`in-cluster` among them, although it needs no file."""
    deployments: Mapping[DeploymentId, Deployment] = {}
    """With the record of release.yaml; one whose deployment.yaml does not fit is absent."""
    applications: Mapping[DeploymentId, Application] = {}
    """What each application.yaml makes of it; `spec` is what Argo CD is to have."""
    problems: tuple[Problem, ...] = ()

    def of_app(self, app: str) -> tuple[Deployment, ...]:
        return tuple(deployment for deployment in self.deployments.values() if deployment.app == app)

    def of_environment(self, environment: str) -> tuple[Deployment, ...]:
        return tuple(deployment for deployment in self.deployments.values() if deployment.environment == environment)


def read(tree: Tree, *, cache_dir: Path | None = None, progress: OnRead | None = None, cancel: Cancel | None = None) -> Catalog:
    """The whole tree as typed values, and everything that is wrong with it.

    Args:
        cache_dir: where parsed files are kept between runs; None keeps nothing.
        progress: for people who wait for a first, cold read.

    Raises `Cancelled`; a file that does not fit raises nothing.
    """
    paths = list(tree.paths())
    problems = list(checks.path_problems(paths))
    workspace = _workspace(tree, problems)
    store = ParsedFiles.load(cache_dir)
    url = workspace.repo_url if workspace else ""
    parsed = _parse(tree, [path for path in paths if _is_read(path)], store, url=url, progress=progress, cancel=cancel)
    store.save()
    for file in parsed.values():
        if isinstance(file, files.Parsed):
            problems += file.warnings
    return _assembled(tree, workspace, parsed, problems)


class Applications(Mapping[DeploymentId, Application]):
    """The application.yaml of each deployment by id; decoded when it is asked for."""

    def __init__(self, found: dict[DeploymentId, Application | Later]) -> None:
        self._found = found

    def __getitem__(self, id: DeploymentId) -> Application:
        one = self._found[id]
        return one.value() if isinstance(one, Later) else one

    def __iter__(self) -> Iterator[DeploymentId]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]  # a mapping


def _is_read(path: str) -> bool:
    if path.startswith("deployments/"):
        return path.count("/") == checks.DEPTH and path[path.rfind("/") + 1 :] in _DEPLOYMENT_FILES
    return path.startswith(_SHARED) and files.has_schema(path)


def _parse(
    tree: Tree, paths: list[str], store: ParsedFiles, *, url: str, progress: OnRead | None, cancel: Cancel | None
) -> dict[str, files.Parsed | Later]:
    """Each file parsed, from the store where its blob was seen before."""
    parsed: dict[str, files.Parsed | Later] = {}
    cold: list[str] = []
    for path in paths:
        known = store.get(path, _identity(tree, path, url))
        if known is None:
            cold.append(path)
        else:
            parsed[path] = known
    for start in range(0, len(cold), STEP):
        if cancel is not None:
            cancel.check()
        some = cold[start : start + STEP]
        data = tree.read_many(some)
        for path in some:
            parsed[path] = one = _one(tree, path, data.get(path), url)
            if not _is_overlay(one):
                store.put(path, _identity(tree, path, url), one)
        if progress is not None:
            progress(min(start + STEP, len(cold)), len(cold))
    return parsed


def _identity(tree: Tree, path: str, url: str) -> str:
    """What a parsed file is known by: its blob, and of an Application also the repository's URL, which says which sources are ours."""
    oid = tree.oid(path) or ""
    return f"{oid} {url}" if path.endswith("/application.yaml") else oid


def _one(tree: Tree, path: str, data: bytes | None, url: str) -> files.Parsed:
    if data is None:
        return files.Parsed(None, (Problem(path, 0, 0, "not a plain file but a symbolic link or a submodule"),))
    try:
        parsed = files.parse(path, data)
    except Invalid as error:
        return files.Parsed(None, problems_of(error, path))
    if not isinstance(parsed.value, Application) or not url:
        return parsed
    unseen = sources.unwatched(parsed.value, sources.reads(parsed.value, tree, url))
    reason = "manifest-generate-paths does not name {}: its changes would not be seen"
    return files.Parsed(parsed.value, (*parsed.warnings, *(Problem(path, 0, 0, reason.format(clean(one))) for one in unseen)))


def _is_overlay(parsed: files.Parsed) -> bool:
    """A kustomization reads what other files name, so what it reads is found out anew each time."""
    return isinstance(parsed.value, Application) and any(s.helm is None and not s.chart and not s.ref for s in parsed.value.sources)


def _assembled(tree: Tree, workspace: Workspace | None, parsed: Mapping[str, files.Parsed | Later], problems: list[Problem]) -> Catalog:
    apps: dict[str, App] = {}
    environments: dict[str, Environment] = {}
    clusters: dict[str, Cluster] = {IN_CLUSTER: Cluster(name=IN_CLUSTER)}
    folders: dict[str, dict[str, object]] = {}
    for path, file in parsed.items():
        value = file.value if isinstance(file, files.Parsed) else file
        if path.startswith("deployments/"):
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, {})[name] = value
        elif isinstance(value, App):
            apps[value.name] = value
        elif isinstance(value, Environment):
            environments[value.name] = value
        elif isinstance(value, Cluster):
            clusters[value.name] = value
    deployments: dict[DeploymentId, Deployment] = {}
    applications: dict[DeploymentId, Application | Later] = {}
    for folder, own in folders.items():
        deployment = _deployment(tree, folder, own, apps, problems)
        if deployment is not None:
            deployments[deployment.id] = deployment
            application = own.get("application.yaml")
            if isinstance(application, Application | Later):
                applications[deployment.id] = application
    catalog = Catalog(
        workspace=workspace,
        apps=apps,
        environments=dict(sorted(environments.items(), key=lambda item: (item[1].order, item[0]))),
        clusters=clusters,
        deployments=deployments,
        applications=Applications(applications),
    )
    problems += checks.across(catalog.environments, clusters, apps, deployments)
    problems += checks.overlaps(environments)
    return msgspec.structs.replace(catalog, problems=tuple(sorted(set(problems))))


def _workspace(tree: Tree, problems: list[Problem]) -> Workspace | None:
    try:
        return files.workspace(tree)
    except NotFound as error:
        problems.append(Problem(files.WORKSPACE, 0, 0, error.message))
    except Invalid as error:
        problems += problems_of(error, files.WORKSPACE)
    return None


def _deployment(tree: Tree, folder: str, own: Mapping[str, object], apps: Mapping[str, App], problems: list[Problem]) -> Deployment | None:
    """One deployment with its record; None where deployment.yaml is missing or does not fit."""
    if "deployment.yaml" not in own:
        problems.append(Problem(f"{folder}/deployment.yaml", 0, 0, "the file is missing"))
        return None
    deployment = own["deployment.yaml"]
    if not isinstance(deployment, Deployment):
        return None
    app = apps.get(deployment.app)
    if len(own) < len(_DEPLOYMENT_FILES) or f"{folder}/values.release.yaml" not in tree:
        names = frozenset(own) | ({"values.release.yaml"} if f"{folder}/values.release.yaml" in tree else set())
        problems += checks.missing_files(folder, names, chart=app is None or app.chart is not None)
    record = own.get("release.yaml")
    return msgspec.structs.replace(deployment, record=record) if isinstance(record, Record) else deployment
