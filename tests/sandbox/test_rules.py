"""Small rules that everything else rests on: patterns, selectors, merges, sync windows, tokens and policies."""

from datetime import UTC, datetime

import pytest

from backends.sandbox.access import Access, Denied, Unauthenticated
from backends.sandbox.globs import matches, shell_matches
from backends.sandbox.merge import json_patch, merge_patch, three_way
from backends.sandbox.objects import Manifest
from backends.sandbox.projects import permits_destination, permits_kind, permits_source, windows_of
from backends.sandbox.selectors import SelectorError, parse
from tests.sandbox.place import Place


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "a/b/c", True),
        ("dev-*", "dev-1/x", True),
        ("a?c", "abc", True),
        ("[a-c]x", "bx", True),
        ("{web,api}-*", "api-1", True),
        ("!kube-*", "kube-system", False),
        ("!kube-*", "dev", True),
        ("a.c", "abc", False),
    ],
)
def test_argo_cd_s_patterns_cross_slashes(pattern: str, text: str, fits: bool) -> None:
    assert fits is matches(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"), [("*", "a/b", False), ("apps/*", "apps/web", True), ("a?", "a/", False), ("a*", "abc", True)]
)
def test_shell_patterns_do_not(pattern: str, text: str, fits: bool) -> None:
    assert fits is shell_matches(pattern, text)


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ("", True),
        ("team=search", True),
        ("team==search,env!=prod", True),
        ("env in (dev, staging)", True),
        ("env notin (dev)", False),
        ("other notin (dev)", True),
        ("team", True),
        ("!team", False),
        ("!other", True),
        ("team=", False),
    ],
)
def test_selectors_are_those_of_kubernetes(selector: str, fits: bool) -> None:
    assert fits is parse(selector)({"team": "search", "env": "dev"})


@pytest.mark.parametrize("selector", ["a in (", "=x", "a=b=c", "a in b"])
def test_a_selector_that_makes_no_sense_is_refused(selector: str) -> None:
    with pytest.raises(SelectorError):
        parse(selector)


def workload(*containers: dict[str, object], **spec: object) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {**spec, "template": {"spec": {"containers": list(containers)}}}}


def test_an_apply_keeps_what_others_set_and_takes_away_what_it_set_itself() -> None:
    applied = workload({"name": "main", "image": "x:1", "env": [{"name": "A", "value": "1"}]}, paused=False)
    live = workload(
        {"name": "main", "image": "x:1", "env": [{"name": "A", "value": "1"}], "terminationMessagePath": "/dev/log"},
        {"name": "sidecar", "image": "s:1"},
        paused=False,
        replicas=4,
    )
    target = workload({"name": "main", "image": "x:2"})
    merged = workload(
        {"name": "main", "image": "x:2", "terminationMessagePath": "/dev/log"}, {"name": "sidecar", "image": "s:1"}, replicas=4
    )
    assert merged == three_way(applied, target, live)


def test_lists_of_custom_resources_are_replaced_whole() -> None:
    live = {"apiVersion": "example.org/v1", "kind": "Thing", "spec": {"containers": [{"name": "a"}, {"name": "b"}]}}
    target = {"apiVersion": "example.org/v1", "kind": "Thing", "spec": {"containers": [{"name": "c"}]}}
    assert target == three_way(live, target, live)


def test_patches() -> None:
    value = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert {"a": {"c": [1, 2], "e": 5}} == merge_patch({"a": {"b": None, "e": 5}, "d": None}, value)
    steps = [
        {"op": "test", "path": "/d", "value": 3},
        {"op": "replace", "path": "/a/b", "value": 2},
        {"op": "add", "path": "/a/c/-", "value": 3},
        {"op": "add", "path": "/a/c/0", "value": 0},
        {"op": "add", "path": "/x~1y", "value": {}},
        {"op": "remove", "path": "/d"},
    ]
    assert {"a": {"b": 2, "c": [0, 1, 2, 3]}, "x/y": {}} == json_patch(steps, value)
    assert {"a": {"b": 1, "c": [1, 2]}, "d": 3} == value


@pytest.mark.parametrize(
    "step", [{"op": "test", "path": "/a", "value": 2}, {"op": "remove", "path": "/b"}, {"op": "odd", "path": "/a"}, {}]
)
def test_a_patch_that_does_not_fit_is_refused(step: Manifest) -> None:
    with pytest.raises((LookupError, ValueError)):
        json_patch([step], {"a": 1})


def windows(now: datetime, *given: Manifest, name: str = "web-prod") -> tuple[int, int, bool, bool]:
    """(assigned, active, whether it may sync by itself, whether by hand)."""
    app = {"metadata": {"name": name}, "spec": {"destination": {"name": "eu-1", "namespace": "web-prod"}}}
    found = windows_of({"spec": {"syncWindows": list(given)}}, app, now)
    return len(found.assigned), len(found.active), found.can_sync(manual=False), found.can_sync(manual=True)


def window(kind: str, schedule: str, duration: str = "1h", **more: object) -> Manifest:
    return {"kind": kind, "schedule": schedule, "duration": duration, "applications": ["*-prod"], **more}


FRIDAY = datetime(2026, 11, 6, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], (0, 0, True, True)),
        ([window("deny", "0 18 * * 5")], (1, 1, False, False)),
        ([window("deny", "0 18 * * 5", manualSync=True)], (1, 1, False, True)),
        ([window("deny", "0 17 * * 5")], (1, 0, True, True)),
        ([window("deny", "0 0 * * 5", "24h")], (1, 1, False, False)),
        ([window("deny", "0 0 1-7 * *", "24h")], (1, 1, False, False)),
        ([window("deny", "0 19 * * 5", timeZone="Europe/Berlin")], (1, 1, False, False)),
        ([window("allow", "0 18 * * 5")], (1, 1, True, True)),
        ([window("allow", "0 8 * * 1-4", "8h")], (1, 0, False, False)),
        ([window("allow", "0 8 * * 1-4", "8h", manualSync=True)], (1, 0, False, True)),
        ([window("allow", "0 18 * * *"), window("deny", "*/15 * * * *", "30m")], (2, 2, False, False)),
        ([window("deny", "nonsense")], (1, 0, True, True)),
        ([{**window("deny", "0 18 * * 5"), "applications": ["other"]}], (0, 0, True, True)),
        ([{**window("deny", "0 18 * * 5"), "applications": [], "clusters": ["eu-*"]}], (1, 1, False, False)),
        ([{**window("deny", "0 18 * * 5"), "clusters": ["us-1"], "andOperator": True}], (0, 0, True, True)),
    ],
)
def test_sync_windows(given: list[Manifest], expected: tuple[int, int, bool, bool]) -> None:
    assert expected == windows(FRIDAY, *given)


async def test_projects_allow_sources_destinations_and_kinds(place: Place) -> None:
    project = {
        "spec": {
            "sourceRepos": ["https://git.example.org/*", "!https://git.example.org/secret"],
            "destinations": [{"name": "here", "namespace": "web-*"}, {"server": "https://here.example.org", "namespace": "api"}],
            "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
            "namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}],
        }
    }
    assert [True, False, False] == [
        permits_source(project, f"https://{url}") for url in ("git.example.org/a", "git.example.org/secret", "other")
    ]
    assert [True, True, False] == [permits_destination(project, place.cluster, name) for name in ("web-dev", "api", "kube-system")]
    kinds = [("v1", "Namespace"), ("v1", "ConfigMap"), ("v1", "Secret"), ("rbac.authorization.k8s.io/v1", "ClusterRole")]
    assert [True, True, False, False] == [permits_kind(project, {"apiVersion": version, "kind": kind}) for version, kind in kinds]
    assert not permits_kind(project, {"apiVersion": "example.org/v1", "kind": "Thing"}, known=False)


def test_tokens_say_who_somebody_is_until_they_are_revoked_or_over() -> None:
    access = Access()
    token = access.issue("viewer")
    assert "viewer" == access.check(token).subject
    assert "viewer" == Access(access.secret).check(token).subject
    with pytest.raises(Unauthenticated, match="signature is invalid"):
        Access().check(token)
    with pytest.raises(Unauthenticated, match="token is expired"):
        access.check(access.issue("viewer", lifetime=-1))
    with pytest.raises(Unauthenticated, match="no session information"):
        access.check("nobody")
    access.revoke(str(access.accounts["viewer"][0]["id"]))
    with pytest.raises(Unauthenticated, match="does not have token with id"):
        access.check(token)


def test_a_login_is_renewed_shortly_before_its_end() -> None:
    access = Access()
    with pytest.raises(Unauthenticated, match="Invalid username or password"):
        access.log_in("admin", "guess")
    assert "" == access.renewal(access.check(access.log_in("admin", access.password)))
    assert "" == access.renewal(access.check(access.issue("admin", lifetime=60)))
    renewed = access.renewal(access.check(access.issue("admin", login=True, lifetime=60)))
    assert access.check(renewed).login


def test_policies_let_each_account_do_what_it_may() -> None:
    access = Access()
    who = {name: access.check(access.issue(name)) for name in ("admin", "viewer", "restricted")}
    assert access.may(who["admin"], "applications", "sync", "default/web")
    assert access.may(who["viewer"], "applications", "get", "default/web")
    assert access.may(who["restricted"], "applications", "get", "tiphys-acme--dev/web")
    assert not access.may(who["restricted"], "applications", "get", "tiphys-acme--prod/web")
    with pytest.raises(Denied, match="permission denied: applications, sync, default/web, sub: viewer, iat: 20"):
        access.enforce(who["viewer"], "applications", "sync", "default/web")
