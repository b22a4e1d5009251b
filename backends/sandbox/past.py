"""The past of the sandbox's fleet, as data: who did what when, in commits and by hand.

A shop's platform: eight apps in three environments on two clusters. Most of it is well; what is not has a cause that can be found:
a crash loop, an image that cannot be pulled, a hook that fails, a broken values file, a paused deployment, a release that waits for a
sync, a live edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from backends.domain.app import App, AppImage, Chart, SourceRepo
from backends.domain.environment import EnvironmentKind
from backends.domain.ids import DeploymentId
from backends.domain.record import Image
from backends.gitops.intent import Intent
from backends.gitops.intents import CreateApp, CreateCluster, CreateEnvironment, Deploy, EditValues, Init, Pause, Target
from backends.gitops.layout import Layer, LayerKind
from backends.gitops.values import Edit

SLUG = "harbor"
WORKSPACE_ID = "01JD8Z6W4T0Q8C2V6N3M5X7Y9A"
EU, EU_SERVER = "eu-1", "https://eu-1.example.org:6443"
CHARTS_URL = "https://charts.example.org"
REGISTRY = "registry.example.org/harbor"

ADA, GRACE, MARGARET = "Ada Lovelace <ada@example.org>", "Grace Hopper <grace@example.org>", "Margaret Hamilton <margaret@example.org>"

IDS = {
    ("web", "dev", "in-cluster"): "web-dev-k3x7qa",
    ("web", "staging", "in-cluster"): "web-staging-p2m5vd",
    ("web", "prod", "in-cluster"): "web-prod-q7t2cc",
    ("web", "prod", EU): "web-prod-e5u6aa",
    ("shop-api", "dev", "in-cluster"): "shop-api-dev-w4n2yb",
    ("shop-api", "staging", "in-cluster"): "shop-api-staging-h6j3ze",
    ("shop-api", "prod", "in-cluster"): "shop-api-prod-t5c7fm",
    ("shop-api", "prod", EU): "shop-api-prod-v2d4gk",
    ("checkout", "dev", "in-cluster"): "checkout-dev-a7s5pr",
    ("checkout", "staging", "in-cluster"): "checkout-staging-b3n6qt",
    ("checkout", "prod", "in-cluster"): "checkout-prod-c4m7wu",
    ("search", "dev", "in-cluster"): "search-dev-d5l2xv",
    ("search", "staging", "in-cluster"): "search-staging-f6k3yw",
    ("search", "prod", EU): "search-prod-g7j4zx",
    ("payments", "dev", "in-cluster"): "payments-dev-h2h5ay",
    ("payments", "staging", "in-cluster"): "payments-staging-j3g6bz",
    ("payments", "prod", EU): "payments-prod-k4f7ca",
    ("notifications", "dev", "in-cluster"): "notifications-dev-l5d2eb",
    ("catalog", "dev", "in-cluster"): "catalog-dev-m6s3fc",
    ("catalog", "prod", "in-cluster"): "catalog-prod-n7a4gd",
    ("exporter", "prod", "in-cluster"): "exporter-prod-q2p5he",
    ("exporter", "prod", EU): "exporter-prod-r3z6jf",
}


class Edited(msgspec.Struct, frozen=True):
    """Files that somebody edited by hand, past Tiphys."""

    files: dict[str, str]
    subject: str


class Synced(msgspec.Struct, frozen=True):
    """A sync that somebody asked for."""

    deployment: str


class Scaled(msgspec.Struct, frozen=True):
    """Replicas that somebody set in the cluster."""

    deployment: str
    replicas: int


class Step(msgspec.Struct, frozen=True):
    """One thing that happened, so long ago."""

    ago: timedelta
    who: str
    what: Intent | Edited | Synced | Scaled
    reason: str = ""
    settles: bool = False
    """Whether everything came to rest after it, before the next thing happened."""


def steps(repo_url: str) -> Iterator[Step]:
    """What happened, oldest first."""
    day, hour, minute = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
    for index, intent in enumerate(_foundations(repo_url)):
        yield Step(23 * day - index * 2 * minute, ADA, intent)
    for index, (app, place) in enumerate(_first_releases()):
        yield Step(22 * day - index * 11 * minute, MARGARET, release(app, place, "1f3c9ab", new=True))
    yield Step(22 * day - 5 * hour, MARGARET, _addon("0.1.0", new=True))
    yield Step(22 * day - 5 * hour - minute, GRACE, _hook("payments-dev-h2h5ay", "payments-migrate:1f3c9ab"))
    yield Step(22 * day - 6 * hour, GRACE, _hook("payments-prod-k4f7ca", "payments-migrate:1f3c9ab"), settles=True)
    for deployment in (
        "web-staging-p2m5vd",
        "shop-api-staging-h6j3ze",
        "checkout-staging-b3n6qt",
        "search-staging-f6k3yw",
        "payments-staging-j3g6bz",
    ):
        yield Step(22 * day - 7 * hour, GRACE, Synced(deployment))
    yield Step(22 * day - 7 * hour, GRACE, _edit(LayerKind.APP, "web", "replicas", 3), "more traffic since the launch", settles=True)
    yield Step(9 * day, GRACE, release("shop-api", "prod", "8d02e11"), settles=True)
    yield Step(6 * day, MARGARET, release("web", "dev", "52bd7c4"))
    yield Step(6 * day - 3 * hour, MARGARET, release("web", "prod", "52bd7c4"), "checkout banner", settles=True)
    yield Step(3 * day, GRACE, _addon("0.2.0"), settles=True)
    yield Step(26 * hour, MARGARET, release("web", "staging", "a91e0f3"))
    yield Step(25 * hour, ADA, _pause("catalog-prod-n7a4gd"), "load test", settles=True)
    yield Step(24 * hour, MARGARET, release("catalog", "prod", "77c2d90"), settles=True)
    yield Step(20 * hour, GRACE, Scaled("search-staging-f6k3yw", 4), settles=True)
    yield Step(100 * minute, MARGARET, release("checkout", "dev", "9c41f7e-crash"))
    yield Step(75 * minute, GRACE, release("shop-api", "dev", "e07b2aa-pull"), settles=True)
    yield Step(50 * minute, GRACE, _hook("payments-dev-h2h5ay", "payments-migrate-fail:3d5a8c1"))
    yield Step(49 * minute, GRACE, release("payments", "dev", "3d5a8c1"), settles=True)
    broken = "# values of this deployment only\nenv:\n  SMTP_HOST: mail.example.org\n SMTP_PORT: 587\n"
    yield Step(
        31 * minute,
        "Katherine Johnson <kj@example.org>",
        Edited({f"{folder('notifications-dev-l5d2eb')}/values.yaml": broken}, "smtp settings"),
        settles=True,
    )


def release(app: str, environment: str, tag: str, *, new: bool = False) -> Deploy:
    """An image's tag to every deployment of an app in an environment."""
    targets = tuple(
        Target(id=DeploymentId(name), environment=environment, cluster=cluster, new=new)
        for (own, where, cluster), name in IDS.items()
        if (own, where) == (app, environment)
    )
    return Deploy(
        app=app, targets=targets, images={"main": Image(repository=f"{REGISTRY}/{app}", tag=tag)}, source=(tag.partition("-")[0] * 6)[:40]
    )


def folder(name: str) -> str:
    app, environment = next((app, where) for (app, where, _), known in IDS.items() if known == name)
    return f"deployments/{environment}/{app}/{name}"


def _foundations(repo_url: str) -> Iterator[Intent]:
    yield Init(slug=SLUG, id=WORKSPACE_ID, repo_url=repo_url)
    yield CreateCluster(name=EU, server=EU_SERVER, secret=f"tiphys-cluster-{EU}", provider="aws", region="eu-west-1")
    yield CreateEnvironment(name="dev", kind=EnvironmentKind.DEVELOPMENT, new=True)
    yield CreateEnvironment(name="staging", kind=EnvironmentKind.STAGING, promote_from=("dev",), automated=False, new=True)
    both = ("in-cluster", EU)
    yield CreateEnvironment(name="prod", kind=EnvironmentKind.PRODUCTION, clusters=both, promote_from=("staging",), new=True)
    for app in ("web", "shop-api", "checkout", "search", "payments", "notifications", "catalog"):
        source, chart = SourceRepo(repo=f"https://git.example.org/harbor/{app}.git"), Chart(path="charts/service", version="1.0.0")
        yield CreateApp(app=App(name=app, source=source, chart=chart, images={"main": AppImage(repository=f"{REGISTRY}/{app}")}))
    yield CreateApp(app=App(name="exporter", kind="addon", chart=Chart(repo=CHARTS_URL, name="exporter")))


def _first_releases() -> Iterator[tuple[str, str]]:
    yield from dict.fromkeys((app, environment) for app, environment, _ in IDS if app != "exporter")


def _addon(version: str, *, new: bool = False) -> Deploy:
    targets = tuple(
        Target(id=DeploymentId(name), environment="prod", cluster=cluster, new=new)
        for (app, _, cluster), name in IDS.items()
        if app == "exporter"
    )
    return Deploy(app="exporter", targets=targets, chart_version=version)


def _edit(kind: LayerKind, name: str, key: str, value: str | int) -> EditValues:
    return EditValues(layer=Layer(kind, name), edits=(Edit(key, value),))


def _hook(deployment: str, image: str) -> EditValues:
    return _edit(LayerKind.DEPLOYMENT, deployment, "migrate.image", f"{REGISTRY}/{image}")


def _pause(deployment: str) -> Pause:
    return Pause(target=Layer(LayerKind.DEPLOYMENT, deployment), reason="load test")
