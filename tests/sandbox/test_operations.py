"""Syncs and comparisons beside those that were recorded: what a real server was seen to do with the same Applications."""

from __future__ import annotations

import re
from typing import Any

import pytest

from backends.sandbox.objects import Key, Manifest, dig
from backends.sandbox.refreshing import Level
from tests.sandbox.rig import MANAGER, ROOT, SHOP_DEV, SHOP_PROD, WEB_DEV, Rig, messages

PLAIN = "plain"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata: {v: 'VALUE'}\n"
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  selector: {matchLabels: {app: NAME}}
  template: {metadata: {labels: {app: NAME}}, spec: {containers: [{name: main, image: "x:1"}]}}
"""


def config(name: str, value: str = "1", annotations: str = "") -> str:
    return CONFIG.replace("NAME", name + (f", annotations: {{{annotations}}}" if annotations else "")).replace("VALUE", value)


def deployment(name: str) -> str:
    return DEPLOYMENT.replace("NAME", name)


class Plain:
    """An Application of plain manifests without auto-sync, in the default project."""

    def __init__(self, rig: Rig, name: str = PLAIN) -> None:
        self.rig = rig
        self.name = name

    def push(self, **files: str | None) -> str:
        return self.rig.branch.write({f"{self.name}/{name}.yaml": text for name, text in files.items()}, "manifests")

    def create(self, **spec: Any) -> None:
        source = {"repoURL": self.rig.sandbox.repo_url, "path": self.name, "targetRevision": "main"}
        body = {
            "project": "default",
            "source": source,
            "destination": {"name": "in-cluster", "namespace": self.name},
            "syncPolicy": {"syncOptions": ["CreateNamespace=true"]},
        }
        meta = {"name": self.name, "namespace": "argocd"}
        self.rig.sandbox.fleet.home.put(
            {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta, "spec": body | spec}
        )

    async def look(self) -> Manifest:
        await self.rig.refresh(self.name)
        return self.app

    async def sync(self, **more: Any) -> Manifest:
        """Sync and come to rest; gives the operation's state."""
        await self.rig.refresh(self.name)
        self.rig.request_sync(self.name, **more)
        await self.rig.settle()
        state: Manifest = self.app["status"]["operationState"]
        return state

    @property
    def app(self) -> Manifest:
        return self.rig.app(self.name)

    def live(self, kind: str, name: str, group: str = "") -> Manifest | None:
        return self.rig.sandbox.fleet.home.get(Key(group, kind, self.name, name))

    def resources(self) -> dict[str, tuple[str | None, bool]]:
        """(status, whether it would be pruned) of each resource."""
        listed = dig(self.app, "status", "resources", default=[])
        return {one["name"]: (one.get("status"), bool(one.get("requiresPruning"))) for one in listed}


@pytest.fixture
async def plain(bare: Rig) -> Plain:
    """Two ConfigMaps, synced."""
    made = Plain(bare)
    made.push(a=config("one"), b=config("two"))
    made.create()
    await made.sync()
    return made


def results(state: Manifest) -> list[tuple[str, str, str]]:
    return [(one["name"], one["status"], one["message"]) for one in dig(state, "syncResult", "resources", default=[])]


async def test_the_first_sync_makes_the_namespace(plain: Plain) -> None:
    state = dig(plain.app, "status", "operationState")
    assert ("Succeeded", "successfully synced (all tasks run)") == (state["phase"], state["message"])
    assert ("plain", "Synced", "namespace/plain created") == results(state)[0]
    assert ["waiting for healthy state of /Namespace/plain", "successfully synced (all tasks run)"] == list(messages(plain.rig, PLAIN, 0))
    assert ("Synced", "Healthy") == (plain.app["status"]["sync"]["status"], plain.app["status"]["health"]["status"])


async def test_what_left_the_repository_is_pruned_only_when_asked(plain: Plain) -> None:
    plain.push(b=None)
    await plain.look()
    assert {"one": ("Synced", False), "two": ("OutOfSync", True)} == plain.resources()

    assert ("two", "PruneSkipped", "ignored (requires pruning)") in results(await plain.sync())
    assert plain.live("ConfigMap", "two") is not None
    assert ("two", "Pruned", "pruned") in results(await plain.sync(prune=True))
    assert None is plain.live("ConfigMap", "two")
    assert {"one": ("Synced", False)} == plain.resources()


async def test_prune_false_keeps_an_object(plain: Plain) -> None:
    plain.push(b=config("two", annotations="argocd.argoproj.io/sync-options: Prune=false"))
    await plain.sync()
    plain.push(b=None)
    assert ("two", "PruneSkipped", "ignored (no prune)") in results(await plain.sync(prune=True))


async def test_a_dry_run_changes_nothing_and_enters_no_history(plain: Plain) -> None:
    plain.push(a=config("one", "2"))
    before = plain.app["status"]["history"]
    state = await plain.sync(dryRun=True)

    assert ("Succeeded", True) == (state["phase"], state["operation"]["sync"]["dryRun"])
    assert ("one", "Synced", "configmap/one configured (dry run)") in results(state)
    assert {"v": "1"} == (plain.live("ConfigMap", "one") or {})["data"]
    assert before == plain.app["status"]["history"]


async def test_a_partial_sync_touches_only_what_it_names_and_enters_no_history(plain: Plain) -> None:
    plain.push(a=config("one", "2"), b=config("two", "2"))
    before = plain.app["status"]["history"]
    state = await plain.sync(resources=[{"group": "", "kind": "ConfigMap", "name": "two"}])

    assert ["two"] == [name for name, _, _ in results(state)]
    assert {"one": ("OutOfSync", False), "two": ("Synced", False)} == plain.resources()
    assert before == plain.app["status"]["history"]


async def test_an_object_that_is_refused_fails_the_sync_after_the_others(plain: Plain) -> None:
    plain.push(a=config("one", "2"), c=deployment("web").replace("name: main", "name: Main_1"))
    place = len(plain.rig.seen)
    state = await plain.sync()

    reason = 'Deployment.apps "web" is invalid: spec.template.spec.containers[0].name: Invalid value: "Main_1": a lowercase RFC 1123 label'
    assert "Failed" == state["phase"]
    assert state["message"].startswith(f"one or more synchronization tasks completed unsuccessfully, reason: {reason}")
    assert ("one", "Synced", "configmap/one configured") in results(state)
    assert [("web", "SyncFailed")] == [(name, status) for name, status, _ in results(state) if status != "Synced"]
    assert "waiting for healthy state of /ConfigMap/one and 1 more resources" in list(messages(plain.rig, PLAIN, place))
    assert {"one": ("Synced", False), "two": ("Synced", False), "web": ("OutOfSync", False)} == plain.resources()


async def test_a_single_refused_object_fails_at_once(plain: Plain) -> None:
    plain.push(a=None, b=None, c=deployment("web").replace("image", "picture"))
    state = await plain.sync()
    reason = 'Deployment.apps "web" is invalid: spec.template.spec.containers[0].image: Required value'
    assert ("Failed", f"one or more objects failed to apply, reason: {reason}") == (state["phase"], state["message"])


async def test_a_kind_without_a_definition_is_no_valid_task(plain: Plain) -> None:
    plain.push(a="apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: it}\n")
    state = await plain.sync()
    assert (
        "one or more synchronization tasks are not valid: failed to discover server resources for group version example.org/v1: the server "
        "could not find the requested resource"
    ) == state["message"]
    said = (
        'The Kubernetes API could not find example.org/Thing for requested resource plain/it. Make sure the "Thing" CRD is installed on the '
        "destination cluster."
    )
    assert [("it", "SyncFailed", said)] == results(state)


async def test_a_definition_in_the_same_sync_is_enough(plain: Plain) -> None:
    spec = "{group: example.org, names: {kind: Thing}, versions: [{name: v1}]}"
    crd = f"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: things.example.org}}\nspec: {spec}\n"
    plain.push(a="apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: it}\n", b=crd)
    state = await plain.sync()
    assert "Succeeded" == state["phase"]
    assert plain.live("Thing", "it", "example.org") is not None


async def test_waves_wait_for_each_other(plain: Plain) -> None:
    waves = [config(f"w{n}", annotations=f'argocd.argoproj.io/sync-wave: "{n}"') for n in (2, 0, 1)]
    web = deployment("web").replace("{name: web}", '{name: web, annotations: {argocd.argoproj.io/sync-wave: "1"}}', 1)
    plain.push(a="---\n".join([*waves, web.replace("x:1", "x:1-slow")]), b=None)
    place = len(plain.rig.seen)
    state = await plain.sync(prune=True)

    assert "Succeeded" == state["phase"]
    assert [
        "waiting for healthy state of /ConfigMap/one and 2 more resources",
        "waiting for healthy state of /ConfigMap/w1 and 1 more resources",
        "waiting for healthy state of apps/Deployment/web",
        "successfully synced (all tasks run)",
    ] == list(messages(plain.rig, PLAIN, place))[-4:]


async def test_a_failed_sync_runs_its_hook_for_that_and_deletes_it_afterwards(plain: Plain) -> None:
    body = "spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: main, image: IMAGE}]}}}"
    hook = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: NAME, annotations: {argocd.argoproj.io/hook: PHASE, argocd.argoproj.io/hook-delete-policy: HookSucceeded}}\n"
    failing = (hook + body).replace("NAME", "post").replace("PHASE", "PostSync").replace("IMAGE", "task-fail:1")
    mourning = (hook + body).replace("NAME", "sorry").replace("PHASE", "SyncFail").replace("IMAGE", "task:1")
    plain.push(c=f"{failing}\n---\n{mourning}\n")
    state = await plain.sync()

    assert ("Failed", "one or more synchronization tasks completed unsuccessfully") == (state["phase"], state["message"])
    phases = {one["name"]: (one.get("hookType"), one["hookPhase"]) for one in state["syncResult"]["resources"]}
    assert (("PostSync", "Failed"), ("SyncFail", "Succeeded")) == (phases["post"], phases["sorry"])


async def test_history_keeps_the_last_ten(plain: Plain) -> None:
    for number in range(11):
        plain.push(a=config("one", f"v{number}"))
        await plain.sync()
    assert list(range(2, 12)) == [entry["id"] for entry in plain.app["status"]["history"]]


async def test_auto_sync_that_is_switched_on_acts_at_once_and_heals(plain: Plain) -> None:
    plain.push(a=config("one", "2"))
    await plain.look()
    edit = {"spec": {"syncPolicy": {"automated": {"selfHeal": True}, "syncOptions": ["CreateNamespace=true"]}}}
    plain.rig.sandbox.applications.change(PLAIN, lambda app: app | {"spec": app["spec"] | edit["spec"]})
    await plain.rig.until(lambda: plain.app["status"]["sync"]["status"] == "Synced", seconds=5)
    await plain.rig.settle()
    assert {"automated": True} == plain.app["status"]["history"][-1]["initiatedBy"]

    home = plain.rig.sandbox.fleet.home
    home.edit(Key("", "ConfigMap", PLAIN, "one"), lambda one: one | {"data": {"v": "by hand"}}, manager="kubectl-edit")
    await plain.rig.until(lambda: (plain.live("ConfigMap", "one") or {})["data"] == {"v": "2"})
    await plain.rig.settle()
    assert 1 == dig(plain.app, "status", "operationState", "operation", "sync", "autoHealAttemptsCount")
    assert 2 == len(plain.app["status"]["history"])


async def test_an_open_deny_window_lets_no_automated_sync_through(plain: Plain) -> None:
    home, key = plain.rig.sandbox.fleet.home, Key("argoproj.io", "AppProject", "argocd", "default")
    window = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"], "manualSync": True}
    home.edit(key, lambda one: one | {"spec": one["spec"] | {"syncWindows": [window]}}, manager="test")
    plain.rig.sandbox.applications.change(PLAIN, lambda app: app | {"spec": app["spec"] | {"syncPolicy": {"automated": {}}}})
    plain.push(a=config("one", "2"))
    await plain.look()
    await plain.rig.settle()
    assert "OutOfSync" == plain.app["status"]["sync"]["status"]
    assert "Succeeded" == (await plain.sync())["phase"]  # by hand it may


async def test_an_object_of_two_applications_is_told_by_both_sides(plain: Plain) -> None:
    other = Plain(plain.rig, "other")
    other.push(a=config("one"))
    other.create(destination={"name": "in-cluster", "namespace": PLAIN})
    await other.look()
    assert {"one": ("OutOfSync", False)} == other.resources()
    (condition,) = other.app["status"]["conditions"]
    assert ("SharedResourceWarning", "ConfigMap/one is part of applications argocd/other and plain") == (
        condition["type"],
        condition["message"],
    )

    state = await other.sync(syncOptions=["FailOnSharedResource=true"])
    assert ("Failed", "Shared resource found: ConfigMap/one is part of applications argocd/other and plain") == (
        state["phase"],
        state["message"],
    )


async def test_the_same_object_twice_is_a_warning_and_the_last_counts(plain: Plain) -> None:
    plain.push(a=f"{config('one')}---\n{config('one', '2')}")
    app = await plain.look()
    assert ["Resource /ConfigMap/plain/one appeared 2 times among application resources."] == [
        one["message"] for one in app["status"]["conditions"] if one["type"] == "RepeatedResourceWarning"
    ]
    await plain.sync()
    assert {"v": "2"} == (plain.live("ConfigMap", "one") or {})["data"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"path": "nowhere"}, "nowhere: app path does not exist"),
        ({"targetRevision": "nobranch"}, "unable to resolve 'nobranch' to a commit SHA: revision not found"),
        ({"repoURL": "https://git.example.org/none.git"}, "failed to list refs: repository not found: "),
    ],
)
async def test_a_source_that_cannot_be_read_is_a_condition(plain: Plain, source: dict[str, str], said: str) -> None:
    before = plain.app["spec"]["source"]
    plain.rig.sandbox.applications.change(PLAIN, lambda app: app | {"spec": app["spec"] | {"source": before | source}})
    plain.rig.sandbox.controller.refresh(PLAIN, Level.FORCED)
    await plain.rig.until(lambda: plain.app["status"]["sync"]["status"] == "Unknown")
    (condition,) = plain.app["status"]["conditions"]
    assert "ComparisonError" == condition["type"]
    assert condition["message"].endswith(f"failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = {said}")
    assert (before | source)["targetRevision"] == plain.app["status"]["sync"]["revision"]


async def test_several_sources_have_several_revisions(plain: Plain) -> None:
    several, url = Plain(plain.rig, "several"), plain.rig.sandbox.repo_url
    several.push(a=config("mine"))
    sources = [{"repoURL": url, "path": path, "targetRevision": "main"} for path in (PLAIN, "several")]
    several.create(source=None, sources=sources)
    app = await several.look()
    assert [plain.rig.branch.head] * 2 == app["status"]["sync"]["revisions"]
    assert {"mine", "one", "two"} == several.resources().keys()


async def test_deleting_takes_the_resources_along_only_with_the_finalizer(plain: Plain) -> None:
    rig, key = plain.rig, Key("argoproj.io", "Application", "argocd", PLAIN)
    rig.sandbox.fleet.home.delete(key, foreground=False)
    await rig.until(lambda: rig.sandbox.applications.get(PLAIN) is None)
    assert plain.live("ConfigMap", "one") is not None

    plain.create()
    await plain.look()
    finalizers = ["resources-finalizer.argocd.argoproj.io"]
    rig.sandbox.applications.change(PLAIN, lambda app: app | {"metadata": app["metadata"] | {"finalizers": finalizers}})
    rig.sandbox.fleet.home.delete(key, foreground=False)
    await rig.until(lambda: rig.sandbox.applications.get(PLAIN) is None)
    assert None is plain.live("ConfigMap", "one")
    assert ("DELETED",) == rig.states(PLAIN)[-1]


async def test_polling_sees_a_commit_without_a_refresh(rig: Rig) -> None:
    rig.deploy(SHOP_DEV, "1.1.0")
    clock = rig.sandbox.world.clock
    began = clock.mark()
    await rig.until(lambda: dig(rig.app(SHOP_DEV), "status", "summary", "images") == ["registry.example.org/acme/shop-api:1.1.0"])
    assert clock.mark() - began < 360  # two polls at the most: the revision of a branch is remembered for three minutes


async def test_an_application_that_is_looked_at_before_its_manager_shows_the_old_spec_at_the_new_commit(rig: Rig) -> None:
    commit = rig.edit(f"{rig.folder(WEB_DEV)}/application.yaml", r"selfHeal: true", "selfHeal: false")
    before = rig.app(WEB_DEV)["spec"]
    seen = await rig.refresh(WEB_DEV)
    assert (commit, before) == (seen["status"]["sync"]["revision"], seen["spec"])

    await rig.refresh(MANAGER)
    await rig.settle()
    assert False is dig(rig.app(WEB_DEV), "spec", "syncPolicy", "automated", "selfHeal")


async def test_the_root_owns_the_managers_and_they_the_deployments(rig: Rig) -> None:
    tree = rig.sandbox.applications.trees[ROOT]
    assert {"Application", "AppProject"} == {node["kind"] for node in tree["nodes"]}
    shown = rig.sandbox.applications.trees[SHOP_PROD]
    kinds = [node["kind"] for node in shown["nodes"]]
    assert {"Deployment", "ReplicaSet", "Pod", "Service"} <= set(kinds)
    assert all(re.fullmatch(r"[0-9a-f-]{36}", node["uid"]) for node in shown["nodes"])
