"""What is wrong with a repository as a whole, file by file or taken together: what lists show, plans name and `doctor` prints.

Argo CD's include globs cross `/`, so a stray application.yaml becomes an Application; a name used twice makes two files fight over one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from backends.domain.app import App
from backends.domain.cluster import Cluster
from backends.domain.deployment import Deployment
from backends.domain.environment import Environment
from backends.domain.ids import DeploymentId
from backends.gitops import files
from backends.gitops.document import Problem
from backends.text import clean

DEPTH = 4
"""Slashes in the path of a deployment's own files."""
OWN_FILES = ("application.yaml", "release.yaml")
_TELLING = ("/application.yaml", "/deployment.yaml")
MANAGER_LIMIT = 1500
"""Children that one Manager carries: each costs about 0.4 KB of its own status, and etcd ends at 1.5 MiB."""


def path_problems(paths: Iterable[str]) -> tuple[Problem, ...]:
    """What paths alone tell: a second application.yaml below a deployment, two deployments of one name, parameter overrides of others."""
    found: list[Problem] = []
    folders: dict[str, str] = {}
    telling = [path for path in paths if path.endswith(_TELLING) or ".argocd-source" in path]
    for path in telling:
        name = path[path.rfind("/") + 1 :]
        if name.startswith(".argocd-source") and name.endswith(".yaml"):
            found.append(Problem(path, 0, 0, "Argo CD takes this file over what Git says of an Application, and Tiphys did not write it"))
        elif name == "application.yaml" and path.startswith("deployments/") and path.count("/") != DEPTH:
            found.append(Problem(path, 0, 0, "a second application.yaml: the environment's Manager would apply it too"))
        elif name == "deployment.yaml" and path.startswith("deployments/") and path.count("/") == DEPTH:
            id, folder = path.split("/")[3], path[: -len("/deployment.yaml")]
            if id in folders:
                found.append(Problem(path, 0, 0, f"two deployments of one name: {clean(folders[id])} has it too"))
            folders[id] = folder
    return tuple(found)


def missing_files(folder: str, names: frozenset[str], *, chart: bool) -> Iterator[Problem]:
    """What a deployment's folder lacks; Argo CD refuses to render without a value file that an Application names."""
    wanted = (*OWN_FILES, *(("values.yaml", "values.release.yaml") if chart else ()))
    for name in wanted:
        if name not in names:
            yield Problem(f"{folder}/{name}", 0, 0, "the file is missing")


def across(
    environments: Mapping[str, Environment],
    clusters: Mapping[str, Cluster],
    apps: Mapping[str, App],
    deployments: Mapping[DeploymentId, Deployment],
) -> Iterator[Problem]:
    """Names that nothing has: an environment's clusters, a deployment's app, environment and cluster; and two deployments of one kind."""
    for environment in environments.values():
        for cluster in environment.allowed_clusters:
            if cluster not in clusters:
                reason = f"there is no cluster {clean(cluster, limit=60)!r}: {files.cluster_file(clean(cluster, limit=60))} is missing"
                yield Problem(files.environment_file(environment.name), 0, 0, reason)
    seen: dict[tuple[str, str, str], str] = {}
    children: dict[str, int] = {}
    for id, deployment in deployments.items():
        path = f"{files.deployment_folder(deployment.environment, deployment.app, id)}/deployment.yaml"
        place = (deployment.app, deployment.environment, deployment.cluster)
        if deployment.app not in apps:
            yield Problem(path, 0, 0, f"there is no app {clean(deployment.app, limit=60)!r} that could be read")
        if deployment.environment not in environments:
            yield Problem(path, 0, 0, f"there is no environment {clean(deployment.environment, limit=60)!r} that could be read")
        elif deployment.cluster not in environments[deployment.environment].allowed_clusters:
            yield Problem(path, 0, 0, f"{deployment.environment} does not allow its cluster {clean(deployment.cluster, limit=60)!r}")
        if place in seen:
            yield Problem(path, 0, 0, f"{seen[place]} is the same app in the same environment on the same cluster")
        seen[place] = id
        children[deployment.environment] = children.get(deployment.environment, 0) + 1
    for name, count in children.items():
        if count > MANAGER_LIMIT:
            reason = f"{count:,} deployments: one Manager carries about {MANAGER_LIMIT:,}"
            yield Problem(files.manager_file(name), 0, 0, reason, warning=True)


def overlaps(environments: Mapping[str, Environment]) -> tuple[Problem, ...]:
    """Environments whose namespace patterns meet on one cluster: their deployments could fight over the same objects."""
    found = []
    ordered = sorted(environments.values(), key=lambda e: e.name)
    for number, one in enumerate(ordered):
        for other in ordered[number + 1 :]:
            shared = [cluster for cluster in one.allowed_clusters if cluster in other.allowed_clusters]
            if shared and meet(one.namespace_pattern, other.namespace_pattern):
                reason = f"its namespaces and those of {one.name} may be the same on {shared[0]} ({other.namespace_pattern})"
                found.append(Problem(files.environment_file(other.name), 0, 0, reason, warning=True))
    return tuple(found)


def meet(one: str, other: str) -> bool:
    """Whether some name fits both patterns (`*` is any text)."""
    for left, right in zip(reversed(one), reversed(other), strict=False):  # most differ at their end: `*-dev`, `*-prod`
        if "*" in (left, right):
            break
        if left != right:
            return False
    reachable = {(0, 0)}
    seen: set[tuple[int, int]] = set()
    while reachable:
        a, b = reachable.pop()
        if (a, b) in seen:
            continue
        seen.add((a, b))
        if a == len(one) and b == len(other):
            return True
        left, right = one[a : a + 1], other[b : b + 1]
        if left == "*":
            reachable.add((a + 1, b))
            if right:
                reachable.add((a, b + 1))
        if right == "*":
            reachable.add((a, b + 1))
            if left:
                reachable.add((a + 1, b))
        if left and left == right and left != "*":
            reachable.add((a + 1, b + 1))
    return False
