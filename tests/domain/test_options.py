"""How `argocd:` blocks of app, environment and deployment come together, and small facts of the domain's values."""

from datetime import UTC, datetime, timedelta

from backends.domain.app import MAIN_KEYS, App, Chart, ImageKeys
from backends.domain.environment import Environment, Lock
from backends.domain.options import ApplicationOptions
from backends.domain.record import ChartVersion, Image, Record
from backends.domain.workspace import Workspace


def test_blocks_merge_in_order_each_kind_its_way() -> None:
    app = ApplicationOptions(
        sync_options=("ServerSideApply=true", "Prune=false"),
        ignore_differences=({"kind": "Deployment"},),
        annotations={"a": "1", "b": "1"},
        retry={"limit": 2, "backoff": {"duration": "1s", "factor": 3}},
        kustomize={"namePrefix": "x-"},
        ref="values",
    )
    environment = ApplicationOptions(
        sync_options=("Prune=true",), annotations={"b": "2"}, retry={"backoff": {"duration": "9s"}}, revision_history_limit=3
    )
    deployment = ApplicationOptions(
        ignore_differences=({"kind": "Deployment"}, {"kind": "Service"}), labels={"l": "1"}, revision_history_limit=0, ref="ws"
    )
    merged = app.merged(environment).merged(deployment)
    assert (
        ApplicationOptions(
            sync_options=("ServerSideApply=true", "Prune=true"),
            ignore_differences=({"kind": "Deployment"}, {"kind": "Service"}),
            annotations={"a": "1", "b": "2"},
            labels={"l": "1"},
            retry={"limit": 2, "backoff": {"duration": "9s", "factor": 3}},
            kustomize={"namePrefix": "x-"},
            revision_history_limit=0,
            ref="ws",
        )
        == merged
    )
    assert app.merged(ApplicationOptions()) == app == ApplicationOptions().merged(app)


def test_a_sync_option_replaces_the_default_of_its_name_in_its_place() -> None:
    options = ApplicationOptions(sync_options=("CreateNamespace=false", "Prune=false"))
    assert ("CreateNamespace=false", "Prune=false") == options.sync_options_over(("CreateNamespace=true",))
    assert ("CreateNamespace=true",) == ApplicationOptions().sync_options_over(("CreateNamespace=true",))


def test_a_lock_holds_until_it_ends() -> None:
    ends = datetime(2026, 11, 30, tzinfo=UTC)
    environment = Environment(name="prod", locks=(Lock(by="ada", until=ends), Lock(by="bob", until=ends + timedelta(days=1))))
    assert ["ada", "bob", None] == [lock and lock.by for lock in (environment.lock_at(ends + timedelta(hours=h)) for h in (-1, 1, 25))]


def test_namespaces_follow_the_template() -> None:
    environment = Environment(name="prod", namespace="{env}-{app}-x")
    assert ("prod-web-x", "prod-*-x") == (environment.namespace_of("web"), environment.namespace_pattern)


def test_an_image_says_itself_and_what_people_call_it() -> None:
    digest = "sha256:" + "ab" * 32
    assert [f"r/web:1@{digest}", "r/web:1", f"r/web@{digest}"] == [
        str(Image(repository="r/web", tag=tag, digest=d)) for tag, d in (("1", digest), ("1", ""), ("", digest))
    ]
    assert ["1", digest[:14]] == [Image(tag="1", digest=digest).short, Image(digest=digest).short]


def test_where_a_chart_reads_an_image() -> None:
    own = ImageKeys(repository="x.repo", tag="x.tag")
    app = App(name="web", chart=Chart(path="charts/service"), image_values={"worker": own})
    assert (MAIN_KEYS, own, None) == (app.keys_of("main"), app.keys_of("worker"), app.keys_of("other"))


def test_names_in_argo_cd() -> None:
    workspace = Workspace(schema_version=1, id="x", slug="acme")
    assert ("tiphys-acme", "tiphys-acme--dev", "acme--dev") == (
        workspace.root_name,
        workspace.manager_name("dev"),
        workspace.project_name("dev"),
    )


def test_a_record_without_a_chart_has_no_version() -> None:
    assert ("", "1.0.0") == (Record().chart_version, Record(chart=ChartVersion(version="1.0.0")).chart_version)
