"""The main job from an empty repository to a rollback, by the command line alone, as a user and a script would do it.

One story, told to each server there is: the sandbox always, a real Argo CD where `TIPHYS_E2E_…` names one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.scenarios.shell import Shell

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("main-job")]


def stages(records: list[dict[str, Any]], deployment: str) -> list[str]:
    """The stages of one deployment in the order in which a follower said them, repeats dropped."""
    said = [r["stage"] for r in records if r["type"] == "stage" and r["deployment"] == deployment]
    return [stage for i, stage in enumerate(said) if i == 0 or said[i - 1] != stage]


def verdicts(records: list[dict[str, Any]]) -> dict[str, tuple[str, int]]:
    return {r["deployment"]: (r["stage"], r["exitCode"]) for r in records if r["type"] == "verdict"}


def the_deployment(shell: Shell, app: str, environment: str) -> dict[str, Any]:
    items = shell.json("get", "deployments")["items"]
    found = [one for one in items if (one["app"], one["environment"]) == (app, environment)]
    assert len(found) == 1, items
    return found[0]


def test_from_an_empty_repository_to_a_rollback(shell: Shell) -> None:
    slug = shell.slug
    shell.run("init", shell.repo_url, "--slug", slug, "--argocd", shell.argocd_url, *shell.connection, "--yes")
    assert "nothing to do" in shell.run("init", shell.repo_url, "--slug", slug, *shell.connection, "--yes").err

    shell.run("create", "environment", "dev", "--yes", "--wait")
    shell.run("create", "environment", "prod", "--kind", "production", "--promote-from", "dev", "--yes", "--confirm", "prod", "--wait")
    shell.run("create", "app", "web", "--image", "registry.example.org/acme/web", "--yes")
    assert ["dev", "prod"] == [e["name"] for e in shell.json("get", "environments")["items"]]

    # nothing without a confirmation, and nothing protected by --yes alone
    assert 3 == shell.run("deploy", "web", "--to", "dev", "--image", "registry.example.org/acme/web:1.0", code=None).code
    assert 3 == shell.run("deploy", "web", "--to", "prod", "--image", "registry.example.org/acme/web:1.0", "--yes", code=None).code

    first = shell.follow(
        "deploy", "web", "--to", "dev,prod", "--image", "registry.example.org/acme/web:1.0", "--yes", "--confirm", "prod", "--wait"
    )
    dev, prod = the_deployment(shell, "web", "dev"), the_deployment(shell, "web", "prod")
    assert {dev["id"]: ("Live", 0), prod["id"]: ("Live", 0)} == verdicts(first)
    assert [("Live", ["registry.example.org/acme/web:1.0"])] * 2 == [(one["stage"], one["images"]) for one in (dev, prod)]
    assert "Committed" == stages(first, dev["id"])[0]

    again = shell.run("deploy", "web", "--to", "dev", "--image", "registry.example.org/acme/web:1.0", "--yes", "--wait")
    assert "nothing to do" in again.err

    bad = shell.follow("deploy", "web", "--to", "dev", "--image", "registry.example.org/acme/web:crash", "--yes", "--wait", code=1)
    assert {dev["id"]: ("Degraded", 1)} == verdicts(bad)
    why = shell.json("why", dev["id"])
    assert "crash" in json.dumps(why).lower()
    assert "Degraded" == the_deployment(shell, "web", "dev")["stage"]

    back = shell.follow("rollback", dev["id"], "--reason", "crash loop", "--yes", "--wait")
    assert {dev["id"]: ("Live", 0)} == verdicts(back)
    assert ["registry.example.org/acme/web:1.0"] == the_deployment(shell, "web", "dev")["images"]

    shell.run("set", dev["id"], "replicas=2", "--yes", "--wait")
    history = shell.json("history", dev["id"])["items"]
    assert ["edit-values", "rollback", "deploy", "deploy"] == [one["op"] for one in history]
    assert "crash loop" == history[1]["reason"]
    tree = shell.json("tree", dev["id"])["items"]
    assert 2 == len([node for node in tree if node["kind"] == "Pod" and node["health"] == "Healthy"])

    shell.run("pause", dev["id"], "--until", "2h", "--reason", "load test", "--yes", "--wait")
    assert the_deployment(shell, "web", "dev")["paused"]
    shell.run("resume", dev["id"], "--yes", "--wait")

    for one, environment in ((prod, "prod"), (dev, "dev")):
        assert 3 == shell.run("delete", one["id"], "--yes", code=None).code
        shell.run("delete", one["id"], "--confirm", environment, "--wait")
    assert [] == shell.json("get", "deployments")["items"]
