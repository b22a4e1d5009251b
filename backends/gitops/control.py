"""Writes what keeps the workspace itself in step: the root, each environment's Manager, and the AppProjects.

Machine-owned, the same bytes for the same input. A project's finalizer makes it outlive its Applications; its destinations name clusters by
name alone, since Argo CD allows a destination when server *or* name matches.
"""

from __future__ import annotations

from collections.abc import Iterable

from backends.domain.app import App
from backends.domain.environment import Environment
from backends.domain.workspace import Workspace
from backends.gitops.quoting import flow, quoted
from backends.gitops.sources import GENERATE_PATHS

_POLICY = """\
  syncPolicy:
    automated: {prune: true, selfHeal: true}
    retry: {limit: 5, backoff: {duration: "5s", factor: 2, maxDuration: "3m"}}
    syncOptions: ["ApplyOutOfSyncOnly=true", "ServerSideApply=true", "FailOnSharedResource=true"]
"""


def root_yaml(workspace: Workspace) -> bytes:
    """bootstrap/root.yaml: applied once, by whoever may; it keeps control/ in step."""
    name, namespace, repo = quoted(workspace.root_name), quoted(workspace.argocd.namespace), quoted(workspace.repo_url)
    return f"""\
# Applied once by an administrator (tiphys does it when it may): the root of the workspace. It keeps control/ in step.
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata:
  name: {name}
  namespace: {namespace}
spec:
  sourceRepos: [{repo}]
  destinations: [{{name: "in-cluster", namespace: {namespace}}}]
  clusterResourceWhitelist: []
  namespaceResourceWhitelist:
    - {{group: "argoproj.io", kind: "Application"}}
    - {{group: "argoproj.io", kind: "AppProject"}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: {name}
  namespace: {namespace}
  labels: {flow({"tiphys.dev/workspace": workspace.id, "tiphys.dev/role": "root"})}
  annotations: {flow({GENERATE_PATHS: "/control"})}
spec:
  project: {name}
  destination: {{name: "in-cluster", namespace: {namespace}}}
  source:
    repoURL: {repo}
    targetRevision: {quoted(workspace.revision)}
    path: "control"
    directory: {{recurse: true}}
{_POLICY}""".encode()


def manager_yaml(workspace: Workspace, environment: str) -> bytes:
    """control/managers/<environment>.yaml: keeps the children of one environment in step with the repository."""
    name, namespace, repo = quoted(workspace.manager_name(environment)), quoted(workspace.argocd.namespace), quoted(workspace.repo_url)
    labels = {"tiphys.dev/workspace": workspace.id, "tiphys.dev/environment": environment}
    return f"""\
{_project_head(workspace, workspace.manager_name(environment), environment)}\
spec:
  sourceRepos: [{repo}]
  destinations: [{{name: "in-cluster", namespace: {namespace}}}]
  clusterResourceWhitelist: []
  namespaceResourceWhitelist: [{{group: "argoproj.io", kind: "Application"}}]
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: {name}
  namespace: {namespace}
  labels: {flow({**labels, "tiphys.dev/role": "manager"})}
  annotations: {flow({GENERATE_PATHS: f"/deployments/{environment}/*/*/application.yaml"})}
spec:
  project: {name}
  destination: {{name: "in-cluster", namespace: {namespace}}}
  source:
    repoURL: {repo}
    targetRevision: {quoted(workspace.revision)}
    path: {quoted(f"deployments/{environment}")}
    directory: {{recurse: true, include: "*/application.yaml"}}
{_POLICY}""".encode()


def project_yaml(workspace: Workspace, environment: Environment, apps: Iterable[App]) -> bytes:
    """control/projects/<environment>.yaml: where the environment's deployments may go, and from which repositories.

    `apps` are all of the workspace: an add-on may be deployed to any environment.
    """
    elsewhere = {app.chart_repo for app in apps if app.chart_repo} | set(environment.allow.source_repos)
    resources = [{"group": r.group, "kind": r.kind} for r in environment.allow.cluster_resources]
    destinations = "".join(
        f"    - {flow({'name': cluster, 'namespace': environment.namespace_pattern})}\n" for cluster in environment.allowed_clusters
    )
    return f"""\
{_project_head(workspace, workspace.project_name(environment.name), environment.name)}\
spec:
  sourceRepos: {flow([workspace.repo_url, *sorted(elsewhere - {workspace.repo_url})])}
  destinations:
{destinations}\
  clusterResourceWhitelist: {flow(resources)}
""".encode()


def _project_head(workspace: Workspace, name: str, environment: str) -> str:
    return f"""\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata:
  name: {quoted(name)}
  namespace: {quoted(workspace.argocd.namespace)}
  labels: {flow({"tiphys.dev/workspace": workspace.id, "tiphys.dev/environment": environment})}
  annotations: {{argocd.argoproj.io/sync-wave: "-2"}}
  finalizers: ["resources-finalizer.argocd.argoproj.io"]
"""
