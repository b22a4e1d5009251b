"""What somebody should know before a change is written: read off the change itself, what it renders to, and what runs now.

Nothing here refuses; what must not be written is refused by the intent.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from backends.argocd.types import Application
from backends.domain.environment import Environment
from backends.errors import BackendError
from backends.gitops import checks, files
from backends.gitops.impact import Reach, TargetChange
from backends.gitops.intents.deploy import Deploy
from backends.gitops.previews import RenderedDiff
from backends.gitops.tree import Tree
from backends.gitops.workspace_layout import LAYOUT
from backends.text import clean

_CLUSTER_KINDS = frozenset(
    (group, kind)
    for group, kinds in {
        "": ("Namespace", "Node", "PersistentVolume"),
        "admissionregistration.k8s.io": (
            *("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
            *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
        ),
        "apiextensions.k8s.io": ("CustomResourceDefinition",),
        "apiregistration.k8s.io": ("APIService",),
        "cert-manager.io": ("ClusterIssuer",),
        "certificates.k8s.io": ("CertificateSigningRequest",),
        "flowcontrol.apiserver.k8s.io": ("FlowSchema", "PriorityLevelConfiguration"),
        "networking.k8s.io": ("IngressClass",),
        "node.k8s.io": ("RuntimeClass",),
        "policy": ("PodSecurityPolicy",),
        "rbac.authorization.k8s.io": ("ClusterRole", "ClusterRoleBinding"),
        "scheduling.k8s.io": ("PriorityClass",),
        "storage.k8s.io": ("CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"),
    }.items()
    for kind in kinds
)
_NAMED = 5
"""Deployments with one and the same warning that are named one by one."""
_RUNNING = ("Running", "Terminating")


class Caution(enum.StrEnum):
    """What a warning is about; the codes are stable, the sentences are not."""

    OPERATION_RUNS = "operation-runs"
    DEGRADED = "degraded"
    HOOKS_RUN = "hooks-run"
    ONLY_HOOKS = "only-hooks"
    SAME_RELEASE = "same-release"
    MANAGER_FIRST = "manager-first"
    TAG_MAY_MOVE = "tag-may-move"
    OTHER_REPOSITORY = "other-repository"
    NAMESPACES_MEET = "namespaces-meet"
    PAUSED = "paused"
    WAITS_FOR_SYNC = "waits-for-sync"
    NOT_RENDERED = "not-rendered"
    DOES_NOT_RENDER = "does-not-render"
    NOT_ALLOWED = "not-allowed"
    SHARED = "shared"
    LAST_ONE = "last-one"
    FILE = "file"


class Warning(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence with a code, and the deployment or environment that it is about ("" for the change as a whole)."""

    code: Caution
    text: str
    about: str = ""


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What Argo CD shows now: Applications by name. Empty: nobody looked, or nobody could."""

    applications: Mapping[str, Application] = {}


def cautions(
    intent: object,
    before: Tree,
    after: Tree,
    *,
    changed: Sequence[str],
    reached: Sequence[Reach],
    targets: Sequence[TargetChange],
    rendered: Sequence[RenderedDiff],
    observed: Observed,
) -> tuple[Warning, ...]:
    """Every warning of a change, what runs now first."""
    environments = _environments(before, after, reached, changed)
    found = [
        *_running(reached, observed),
        *_release(intent, before, reached, targets),
        *_automation(before, after, reached, environments),
        *_rendering(rendered, reached, environments),
        *_shared(changed, reached),
        *_namespaces(before, after, changed),
        *_files(after, changed, reached),
    ]
    return tuple(dict.fromkeys(found))


def _running(reached: Sequence[Reach], observed: Observed) -> Iterator[Warning]:
    for reach in reached:
        application = observed.applications.get(reach.id)
        if application is None:
            continue
        state = application.status.operation_state
        if application.operation is not None or (state is not None and state.phase in _RUNNING):
            since = f" since {state.started_at:%H:%M} UTC" if state is not None and state.started_at is not None else ""
            text = f"an operation runs on {reach.id}{since}: a commit that arrives meanwhile may be applied without its hooks; wait or terminate it"
            yield Warning(code=Caution.OPERATION_RUNS, text=text, about=reach.id)
        if application.status.health.status == "Degraded":
            yield Warning(code=Caution.DEGRADED, text=f"{reach.id} is Degraded now", about=reach.id)


def _release(intent: object, before: Tree, reached: Sequence[Reach], targets: Sequence[TargetChange]) -> Iterator[Warning]:
    if isinstance(intent, Deploy):
        moving = {target.id for target in targets}
        for target in intent.targets:
            if target.id not in moving:
                yield Warning(code=Caution.SAME_RELEASE, text=f"{target.id} has this release already", about=target.id)
    for change in targets:
        if change.removed:
            continue
        if not change.new and change.chart_before == change.chart_after and all(image.before == image.after for image in change.images):
            yield Warning(code=Caution.SAME_RELEASE, text=f"the image of {change.id} is the same: only its record changes", about=change.id)
        for image in change.images:
            after = image.after
            if after is None or after == image.before:
                continue
            if not after.digest:
                text = f"{clean(str(after), limit=160)} has no digest: if the tag is moved, what runs is no longer what is recorded"
                yield Warning(code=Caution.TAG_MAY_MOVE, text=text, about=change.id)
            declared = _repository(before, change.app, image.name)
            if declared and declared != after.repository:
                text = f"the image is of {clean(after.repository, limit=120)}, the app names {clean(declared, limit=120)}"
                yield Warning(code=Caution.OTHER_REPOSITORY, text=text, about=change.id)
    managers = dict.fromkeys(reach.environment for reach in reached if reach.application and not reach.new and not reach.removed)
    for name in managers:
        text = f"application.yaml changes: the Manager of {name} has to apply it before anything else happens"
        yield Warning(code=Caution.MANAGER_FIRST, text=text, about=name)


def _automation(before: Tree, after: Tree, reached: Sequence[Reach], environments: Mapping[str, Environment]) -> Iterator[Warning]:
    for reach in reached:
        environment = environments.get(reach.environment)
        if reach.removed or environment is None:
            continue
        if not environment.automated:
            yield Warning(
                code=Caution.WAITS_FOR_SYNC,
                text=f"{environment.name} is not automated: the change waits for a sync",
                about=environment.name,
            )
        elif not reach.new and not _automated(before, reach) and not _automated(after, reach):
            about = environment.name if environment.paused is not None else reach.id
            text = f"{about} is paused: the change lands and is not applied until it resumes"
            yield Warning(code=Caution.PAUSED, text=text, about=about)
    for name in environments:
        gone = [reach for reach in reached if reach.removed and reach.environment == name]
        if gone and next(LAYOUT.deployments(after, environment=name), None) is None:
            text = f"{gone[-1].id} is the last deployment of {name}: its Manager refuses to remove it by itself and needs a sync with prune"
            yield Warning(code=Caution.LAST_ONE, text=text, about=name)


def _rendering(rendered: Sequence[RenderedDiff], reached: Sequence[Reach], environments: Mapping[str, Environment]) -> Iterator[Warning]:
    places = {reach.id: reach for reach in reached}
    missing: dict[str, list[RenderedDiff]] = {}
    for diff in rendered:
        reach = places[diff.deployment]
        if diff.error:
            text = f"{diff.deployment} does not render after this: {diff.error}"
            yield Warning(code=Caution.DOES_NOT_RENDER, text=text, about=diff.deployment)
        elif diff.missing:
            missing.setdefault(diff.missing, []).append(diff)
        for text in diff.warnings:
            yield Warning(code=Caution.FILE, text=f"{diff.deployment}: {clean(text, limit=200)}", about=diff.deployment)
        plain = [one for one in diff.objects if not one.hook]
        if diff.hooks and plain and not reach.removed:
            text = f"{diff.deployment} runs its hooks again: {', '.join(diff.hooks[:3])}{' …' if len(diff.hooks) > 3 else ''}"
            yield Warning(code=Caution.HOOKS_RUN, text=text, about=diff.deployment)
        elif diff.objects and not plain and not reach.new and not reach.removed:
            text = f"only hooks of {diff.deployment} change: Argo CD does not compare hooks, so they run with the next real change or sync"
            yield Warning(code=Caution.ONLY_HOOKS, text=text, about=diff.deployment)
        yield from _not_allowed(diff, environments.get(reach.environment))
    for reason, unrendered in missing.items():
        few = unrendered[:_NAMED] if len(unrendered) <= _NAMED else []  # of a thousand nobody reads the names
        for diff in few:
            yield Warning(code=Caution.NOT_RENDERED, text=f"{diff.deployment}: {reason}", about=diff.deployment)
        if not few:
            yield Warning(code=Caution.NOT_RENDERED, text=f"{len(unrendered)} deployments: {reason}")


def _not_allowed(diff: RenderedDiff, environment: Environment | None) -> Iterator[Warning]:
    if environment is None:
        return
    allowed = {(r.group, r.kind) for r in environment.allow.cluster_resources}
    for group, kind in diff.kinds:
        if (group, kind) in _CLUSTER_KINDS and not any(g in ("*", group) and k in ("*", kind) for g, k in allowed):
            text = (
                f"{diff.deployment} has a {kind}, which belongs to the whole cluster and which {environment.name} does not allow: add "
                f'{{group: "{group}", kind: "{kind}"}} to allow.clusterResources of {files.environment_file(environment.name)}'
            )
            yield Warning(code=Caution.NOT_ALLOWED, text=text, about=diff.deployment)


def _shared(changed: Sequence[str], reached: Sequence[Reach]) -> Iterator[Warning]:
    for path in changed:
        if path.startswith(("apps/", "environments/")) and path.endswith("/values.yaml"):
            count = sum(path in reach.files for reach in reached)
            if count > 1:
                yield Warning(code=Caution.SHARED, text=f"{path} is read by {count} deployments", about="")


def _namespaces(before: Tree, after: Tree, changed: Sequence[str]) -> Iterator[Warning]:
    if not any(path.startswith("environments/") and path.endswith("/environment.yaml") for path in changed):
        return
    known = set(checks.overlaps(_readable(before)))
    for problem in checks.overlaps(_readable(after)):
        if problem not in known:
            name = problem.path.split("/")[1]
            yield Warning(code=Caution.NAMESPACES_MEET, text=f"{name}: {problem.reason}", about=name)


def _files(after: Tree, changed: Sequence[str], reached: Sequence[Reach]) -> Iterator[Warning]:
    """What is wrong with files: with paths anywhere, and with what is inside those that are changed or read by what is reached."""
    for problem in checks.path_problems(after.paths()):
        yield Warning(code=Caution.FILE, text=str(problem))
    looked = [path for path in changed if path in after]
    for reach in reached[:20]:
        looked += [f"{reach.folder}/application.yaml", *reach.files, *_value_files(after, reach)]
    for path in dict.fromkeys(looked):
        data = after.read(path)
        if data is None:
            continue
        try:
            warnings = files.parse(path, data).warnings
        except BackendError as error:
            yield Warning(code=Caution.FILE, text=error.message)
        else:
            for one in warnings:
                yield Warning(code=Caution.FILE, text=str(one))


def _value_files(after: Tree, reach: Reach) -> tuple[str, ...]:
    from backends.gitops.workspace_layout import LAYOUT

    try:
        return () if reach.removed else LAYOUT.application(after, reach.place).value_files
    except BackendError:  # an application.yaml that does not fit is named itself
        return ()


def _environments(before: Tree, after: Tree, reached: Iterable[Reach], changed: Iterable[str]) -> dict[str, Environment]:
    names = [reach.environment for reach in reached]
    names += [path.split("/")[1] for path in changed if path.startswith("environments/")]
    found = {}
    for name in dict.fromkeys(names):
        for tree in (after, before):
            try:
                found[name] = files.environment(tree, name)
                break
            except BackendError:  # an intent that needs the environment has refused already; here it only adds warnings
                continue
    return found


def _readable(tree: Tree) -> dict[str, Environment]:
    found = {}
    for name in files.environments(tree):
        try:
            found[name] = files.environment(tree, name)
        except BackendError:  # named by lists as a problem of its own
            continue
    return found


def _repository(tree: Tree, app: str, image: str) -> str:
    try:
        declared = files.app(tree, app).images.get(image)
    except BackendError:
        return ""
    return declared.repository if declared else ""


def _automated(tree: Tree, reach: Reach) -> bool:
    try:
        return LAYOUT.application(tree, reach.place).automated
    except BackendError:
        return True
