"""The writing commands against a repository on disk: what they write, what they refuse, and with which exit code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from backends.gitops.journal import Journal
from tests.gitops.remotes import git
from tests.tui.line import IMAGE, Line
from tui.cli.change import moment
from tui.cli.output import Output

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


# ── init ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_init_makes_a_workspace_of_an_empty_remote_and_remembers_it(empty: Line) -> None:
    empty("init", str(empty.remote), "--slug", "acme")
    assert {"tiphys.yaml", ".gitattributes", "CODEOWNERS", "bootstrap/root.yaml", "control/.gitkeep"} <= set(empty.files())
    assert "charts/service/1.0.0/Chart.yaml" in empty.files()
    assert "init(acme): workspace" == git(empty.remote, "log", "-1", "--format=%s", "main")
    (one,) = empty.items("get", "workspaces")
    assert ("acme", str(empty.remote), True) == (one["name"], one["repo"], one["last"])


def test_init_again_has_nothing_to_do_and_remembers_too(empty: Line) -> None:
    empty("init", str(empty.remote), "--slug", "acme")
    before = empty.head()
    empty("forget", "acme")
    assert "nothing to do" in empty("init", str(empty.remote), "--slug", "acme").err
    assert before == empty.head()
    assert ["acme"] == [one["name"] for one in empty.items("get", "workspaces")]


def test_init_refuses_another_slug_and_foreign_commits(line: Line, empty: Line) -> None:
    assert "'acme'" in line("init", str(line.remote), "--slug", "other", code=3).err
    empty.rival({"README.md": "hello\n"})
    before = empty.head()
    assert "is no workspace" in empty("init", str(empty.remote), "--slug", "acme", code=3).err
    assert before == empty.head()


def test_init_on_a_branch_that_is_not_there_yet(line: Line) -> None:
    line("init", str(line.remote), "--slug", "other", "--branch", "other")
    assert "init(other): workspace" == git(line.remote, "log", "-1", "--format=%s", "other")
    assert "1" == git(line.remote, "rev-list", "--count", "other")


def test_init_names_where_argo_cd_reads(empty: Line) -> None:
    empty("init", str(empty.remote), "--slug", "acme", "--argocd-repo-url", "https://git.example.org/acme.git")
    empty("create", "environment", "dev", "--yes")
    for path in ("bootstrap/root.yaml", "control/managers/dev.yaml", "control/projects/dev.yaml"):
        assert "https://git.example.org/acme.git" in empty.read(path)
        assert str(empty.remote) not in empty.read(path)


def test_init_shows_its_plan_and_writes_and_remembers_nothing(empty: Line) -> None:
    assert "tiphys.yaml" in empty("init", str(empty.remote), "--slug", "acme", "--plan").out
    assert "" == git(empty.remote, "for-each-ref")
    assert [] == empty.items("get", "workspaces")


@pytest.mark.parametrize("slug", ["A", "a--b", "-a", "a_b", "on", "1e10", "a" * 41, "a\nb", ""])
def test_init_refuses_what_is_no_slug(empty: Line, slug: str) -> None:
    assert empty("init", str(empty.remote), f"--slug={slug}", code=None).code in (1, 2, 3)
    assert "" == git(empty.remote, "for-each-ref")


# ── create ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_environment_has_its_defaults(line: Line) -> None:
    line("create", "environment", "qa", "--yes")
    line("create", "environment", "live", "--kind", "production", "--unprotected", "--yes")
    found = {one["name"]: one for one in line.items("get", "environments")}
    assert ("development", 30, "in-cluster", ["in-cluster"], False, True) == tuple(
        found["qa"][key] for key in ("kind", "order", "cluster", "clusters", "protected", "automated")
    )
    assert (40, False) == (found["live"]["order"], found["live"]["protected"])
    assert (20, True) == (found["prod"]["order"], found["prod"]["protected"])


def test_an_environment_again_changes_the_options_given_and_no_others(line: Line) -> None:
    line("create", "environment", "dev", "--order", "5", "--yes")
    before = line.read("environments/dev/environment.yaml")
    line("create", "environment", "dev", "--manual", "--yes")
    after = line.read("environments/dev/environment.yaml")
    changed = set(before.splitlines()) ^ set(after.splitlines())
    assert {"automated: true", "automated: false"} == changed
    assert "automated" not in yaml.safe_load(line.read(f"{line.folder()}/application.yaml"))["spec"]["syncPolicy"]
    assert "nothing to do" in line("create", "environment", "dev", "--manual", "--yes").err
    assert "nothing to do" in line("create", "environment", "dev", "--yes").err
    line("create", "environment", "dev", "--automated", "--yes")
    assert "automated" in yaml.safe_load(line.read(f"{line.folder()}/application.yaml"))["spec"]["syncPolicy"]


def test_changing_a_protected_environment_takes_its_typed_name(line: Line) -> None:
    before = line.head()
    assert "--confirm prod" in line("create", "environment", "prod", "--unprotected", "--yes", code=3).err
    assert before == line.head()
    line("create", "environment", "prod", "--unprotected", "--confirm", "prod")
    assert [False] == [one["protected"] for one in line.items("get", "environments") if one["name"] == "prod"]


def test_a_cluster_is_named_before_an_environment_uses_it(line: Line) -> None:
    assert "eu-1" in line("create", "environment", "dev", "--clusters", "in-cluster,eu-1", "--yes", code=1).err
    line("create", "cluster", "eu-1", "--server", "https://10.0.0.1:6443", "--yes")
    line("create", "environment", "dev", "--clusters", "in-cluster,eu-1", "--yes")
    assert "nothing to do" in line("create", "cluster", "eu-1", "--server", "https://10.0.0.1:6443", "--yes").err
    assert 3 == line("create", "cluster", "eu-1", "--server", "https://10.0.0.2:6443", "--yes", code=None).code
    names = [one["name"] for one in yaml.safe_load_all(line.read("control/projects/dev.yaml")) for one in one["spec"]["destinations"]]
    assert ["eu-1", "in-cluster"] == sorted(names)


@pytest.mark.parametrize("server", ["10.0.0.1", "https://user:pw@10.0.0.1", "ftp://x", ""])
def test_a_cluster_needs_the_address_of_an_api(line: Line, server: str) -> None:
    assert line("create", "cluster", "eu-1", f"--server={server}", "--yes", code=None).code in (1, 2)


def test_an_app_takes_the_newest_version_of_its_chart(line: Line) -> None:
    chart = line.read("charts/service/1.0.0/Chart.yaml")
    others = {path.replace("/1.0.0/", "/1.10.0/"): line.read(path) for path in line.files() if path.startswith("charts/service/1.0.0/")}
    others["charts/service/1.10.0/Chart.yaml"] = chart.replace("1.0.0", "1.10.0")
    others |= {path.replace("/1.10.0/", "/1.9.0/"): text.replace("1.10.0", "1.9.0") for path, text in others.items()}
    others |= {
        path.replace("/1.10.0/", "/2.0.0-rc.1/"): text.replace("1.10.0", "2.0.0-rc.1")
        for path, text in others.items()
        if "/1.10.0/" in path
    }
    line.rival(others)
    line("create", "app", "api", "--image", "registry.example.org/acme/api", "--yes")
    assert '"1.10.0"' in line.read("apps/api/app.yaml")
    line("create", "app", "old", "--image", "registry.example.org/acme/old", "--chart-version", "1.9.0", "--yes")
    assert '"1.9.0"' in line.read("apps/old/app.yaml")
    line("create", "app", "none", "--image", "x", "--chart-version", "7.0.0", "--yes", code=1)
    line("create", "app", "none", "--image", "x", "--chart", "charts/nothing", "--yes", code=1)


def test_an_app_says_what_it_needs(line: Line) -> None:
    assert "--image" in line("create", "app", "api", "--yes", code=None).err
    assert "--chart-repo" in line("create", "app", "api", "--addon", "--yes", code=None).err
    assert "exists already" in line("create", "app", "web", "--image", "other/image", "--yes", code=3).err
    assert "nothing to do" in line("create", "app", "web", "--image", IMAGE, "--yes").err


def test_a_new_chart_repository_reaches_every_project(line: Line) -> None:
    line(
        "create",
        "app",
        "dog",
        "--addon",
        "--chart-repo",
        "https://charts.example.org",
        "--chart",
        "dog",
        "--chart-version",
        "1.2.3",
        "--yes",
    )
    for name in ("dev", "prod"):
        (project,) = yaml.safe_load_all(line.read(f"control/projects/{name}.yaml"))
        assert "https://charts.example.org" in project["spec"]["sourceRepos"]


def test_a_chart_version_of_an_add_on_is_deployed(line: Line) -> None:
    line(
        "create",
        "app",
        "dog",
        "--addon",
        "--chart-repo",
        "https://charts.example.org",
        "--chart",
        "dog",
        "--chart-version",
        "1.2.3",
        "--yes",
    )
    line("deploy", "dog", "--to", "dev", "--chart-version", "1.2.3", "--yes")
    line("deploy", "dog", "--to", "dev", "--chart-version", "1.3.0", "--yes")
    sources = yaml.safe_load(line.read(f"{line.folder(app='dog')}/application.yaml"))["spec"]["sources"]
    assert ["1.3.0", "main"] == [one["targetRevision"] for one in sources]


# ── deploy ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_several_targets_are_one_commit(line: Line) -> None:
    before = int(git(line.remote, "rev-list", "--count", "main"))
    line("deploy", "web", "--to", "dev,prod", "--image", f"{IMAGE}:2.0", "--yes", "--confirm", "prod")
    assert before + 1 == int(git(line.remote, "rev-list", "--count", "main"))
    assert [[f"{IMAGE}:2.0"]] * 2 == [one["images"] for one in line.items("get", "deployments")]


def test_a_first_deployment_is_on_the_default_cluster_and_another_cluster_is_another_one(line: Line) -> None:
    line("create", "cluster", "eu-1", "--server", "https://10.0.0.1:6443", "--yes")
    refused = line("deploy", "web", "--to", "dev/eu-1", "--image", f"{IMAGE}:1.0", "--yes", code=3)
    assert "tiphys create environment dev --clusters in-cluster,eu-1" in refused.err
    line("create", "environment", "dev", "--clusters", "in-cluster,eu-1", "--yes")
    line("deploy", "web", "--to", "dev/eu-1", "--image", f"{IMAGE}:1.0", "--yes")
    assert ["eu-1", "in-cluster"] == sorted(one["cluster"] for one in line.items("get", "deployments"))
    line("deploy", "web", "--to", "dev/eu-1", "--image", f"{IMAGE}:2.0", "--yes")
    assert [("eu-1", "2.0"), ("in-cluster", "1.0")] == sorted(
        (one["cluster"], one["images"][0].rpartition(":")[2]) for one in line.items("get", "deployments")
    )
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:3.0", "--yes")  # the environment alone: both
    assert {"3.0"} == {one["images"][0].rpartition(":")[2] for one in line.items("get", "deployments")}
    assert {line.head()} == {one["commit"] for one in line.items("get", "deployments")}


def test_a_digest_is_recorded_and_reaches_the_values(line: Line) -> None:
    digest = "sha256:" + "1" * 64
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0@{digest}", "--source", "8d02e11c4f", "--build", "github/1#2", "--yes")
    record = yaml.safe_load(line.read(f"{line.folder()}/release.yaml"))
    assert ({"repository": IMAGE, "tag": "2.0", "digest": digest}, "github/1#2", "8d02e11c4f") == (
        record["images"]["main"],
        record["build"],
        record["source"],
    )
    assert digest in line.read(f"{line.folder()}/values.release.yaml")


def test_an_image_that_is_none_is_refused(line: Line) -> None:
    before = line.head()
    for image in ("", ":", "x y:1", "UPPER:1@sha256:zz", f"{IMAGE}", "web:1\nx", "main=", "=a:1"):
        assert line("deploy", "web", "--to", "dev", f"--image={image}", "--yes", code=None).code in (1, 2)
    assert before == line.head()


def test_without_a_confirmation_and_a_terminal_nothing_is_written(line: Line) -> None:
    before = line.head()
    ran = line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", code=3)
    assert "--yes" in ran.err
    assert before == line.head()


def test_what_is_protected_takes_its_name(line: Line) -> None:
    before = line.head()
    wanted = ("deploy", "web", "--to", "prod", "--image", f"{IMAGE}:2.0")
    for given in (("--yes",), ("--confirm", "dev"), ("--yes", "--confirm", "production"), ("--confirm", "")):
        assert "--confirm prod" in line(*wanted, *given, code=3).err
    assert before == line.head()
    line(*wanted, "--confirm", "prod")
    assert before != line.head()


def test_a_plan_writes_nothing(line: Line) -> None:
    before = line.head()
    ran = line("deploy", "web", "--to", "dev,prod", "--image", f"{IMAGE}:2.0", "--plan")
    for said in ("release.yaml", f"image: {IMAGE}:2.0", "protected: --confirm prod"):
        assert said in ran.out
    assert before == line.head()
    assert [] == line.items("pending")


def test_nothing_to_do_makes_no_commit(line: Line) -> None:
    before = line.head()
    for wanted in (
        ("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:1.0"),
        ("resume", line.deployment()),
        ("set", line.deployment(), "nothing-"),
        ("deploy", "web", "--to", "dev", "--chart-version", "1.0.0"),
    ):
        assert "nothing to do" in line(*wanted).err  # not even a confirmation is asked for
    assert before == line.head()


def test_a_deploy_without_an_image_or_a_chart_says_so(line: Line) -> None:
    assert "--image" in line("deploy", "web", "--to", "dev", "--yes", code=None).err
    assert "needs an image" in line("deploy", "web", "--to", "prod", "--chart-version", "1.0.0", "--confirm", "prod", code=1).err


def test_a_lock_refuses_until_its_time(line: Line) -> None:
    path, id = "environments/dev/environment.yaml", line.deployment()
    text = line.read(path)
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    line.rival({path: text + f'locks: [{{by: "ada", reason: "black friday", until: "{until}"}}]\n'})
    before = line.head()
    for wanted in (
        ("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes"),
        ("set", id, "a=1", "--yes"),
        ("set", "app:web", "a=1", "--yes"),
        ("set", "environment:dev", "a=1", "--yes"),
        ("pause", id, "--until", "2h", "--yes"),
        ("delete", id, "--confirm", "dev"),
        ("create", "environment", "dev", "--manual", "--yes"),
    ):
        refused = line(*wanted, code=3)
        assert "dev is locked by ada" in refused.err
        assert "black friday" in refused.err
    assert before == line.head()
    line.rival({path: text + 'locks: [{by: "ada", reason: "black friday", until: "2020-01-01T00:00:00Z"}]\n'})
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes")


# ── set ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_values_are_set_at_every_layer(line: Line) -> None:
    for target, path in (
        (line.deployment(), f"{line.folder()}/values.yaml"),
        ("app:web", "apps/web/values.yaml"),
        ("environment:dev", "environments/dev/values.yaml"),
    ):
        line("set", target, "replicas=2", r"annotations.example\.org/owner=ada", "env[0].name=A", "env[0].value=on", "debug=true", "--yes")
        found = yaml.safe_load(line.read(path))
        assert {
            "replicas": 2,
            "annotations": {"example.org/owner": "ada"},
            "env": [{"name": "A", "value": "on"}],
            "debug": True,
        } == found
        line("set", target, "debug-", "env[0].value=off", "--yes")
        assert {"replicas": 2, "annotations": {"example.org/owner": "ada"}, "env": [{"name": "A", "value": "off"}]} == yaml.safe_load(
            line.read(path)
        )


SCALARS: tuple[tuple[str, object], ...] = (
    ("2", 2),
    ("1.5", 1.5),
    ("true", True),
    ("null", None),
    ("~", None),
    ("", ""),
    ('"2"', "2"),
    ("'1.10'", "1.10"),
    ("text with: colon", "text with: colon"),
    ("a#b", "a#b"),
    ("a # b", "a # b"),
    ("on", "on"),
    ("012", "012"),
    ("12345e2", "12345e2"),
    ("2026-11-26", "2026-11-26"),
    ("日本", "日本"),
    ("a=b=c", "a=b=c"),
    ("-5", -5),
    ("https://x.example.org/?a=1&b=2", "https://x.example.org/?a=1&b=2"),
)


def test_a_value_is_a_yaml_scalar(line: Line) -> None:
    line("set", line.deployment(), *(f"key{number}={typed}" for number, (typed, _) in enumerate(SCALARS)), "--yes")
    found = yaml.safe_load(line.read(f"{line.folder()}/values.yaml"))
    assert [(type(value), value) for _, value in SCALARS] == [(type(value), value) for value in found.values()]


def test_a_value_that_is_no_scalar_is_refused(line: Line) -> None:
    before = line.head()
    for typed in ("{a: 1}", "[1]", "&a x", "*a", "!!str x", "|", "a\nb", "a\x07b"):
        assert 1 == line("set", line.deployment(), f"key={typed}", "--yes", code=None).code
    assert before == line.head()


def test_a_key_that_is_none_is_refused(line: Line) -> None:
    before = line.head()
    for key in ("a..b=1", ".a=1", "a[x]=1", "a[-1]=1", "a[99]=1", "=1", "novalue", "[0]=1"):
        assert 1 == line("set", line.deployment(), key, "--yes", code=None).code
    assert before == line.head()


def test_values_never_stand_in_a_commit_message(line: Line) -> None:
    line("set", line.deployment(), "password=canary-7", "--yes")
    assert "canary-7" not in git(line.remote, "log", "-1", "--format=%B", "main")
    assert "password" in git(line.remote, "log", "-1", "--format=%s", "main")


def test_a_shared_layer_says_whom_it_reaches(line: Line) -> None:
    line("deploy", "web", "--to", "prod", "--image", f"{IMAGE}:1.0", "--confirm", "prod")
    ran = line("set", "app:web", "replicas=3", "--plan")
    assert "read by 2 deployments" in ran.out
    assert "--confirm prod" in line("set", "app:web", "replicas=3", "--yes", code=3).err


def test_what_reaches_many_names_few(line: Line) -> None:
    id, folder = line.deployment(), line.folder()
    files = {path: line.read(path) for path in line.files() if path.startswith(folder)}
    many = {}
    for letter in "abcdefghijklmnopqrstuvwxyz234567"[:30]:
        other = f"web-dev-aaaa{letter}a"
        many |= {path.replace(id, other): text.replace(id, other) for path, text in files.items()}
    line.rival(many)
    ran = line("set", "app:web", "replicas=2", "--plan")
    assert "11 deployments: not rendered: only the first 20 deployments are" in ran.out
    assert 1 == ran.out.count("only the first 20")
    assert 31 == len(line.json("set", "app:web", "replicas=2", "--plan")["rendered"])


# ── rollback ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rollback_restores_the_newest_release_that_differs(line: Line) -> None:
    id = line.deployment()
    first = line.head()
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes")
    line("set", id, "replicas=3", "--yes")
    line("rollback", id, "--yes", "--reason", "crash loop")
    one = line.items("get", "deployments")[0]
    assert [f"{IMAGE}:1.0"] == one["images"]
    assert {"replicas": 3} == yaml.safe_load(line.read(f"{line.folder()}/values.yaml"))  # people's values stay
    assert ["rollback", "crash loop"] == [line.items("history", id)[0][key] for key in ("op", "reason")]
    line("rollback", id, "--yes")
    assert [f"{IMAGE}:2.0"] == line.items("get", "deployments")[0]["images"]
    line("rollback", id, "--to", first[:8], "--with-values", "--yes")
    assert [f"{IMAGE}:1.0"] == line.items("get", "deployments")[0]["images"]
    assert not yaml.safe_load(line.read(f"{line.folder()}/values.yaml"))


def test_a_rollback_to_nowhere_is_named(line: Line) -> None:
    id = line.deployment()
    assert "no earlier release" in line("rollback", id, "--yes", code=1).err
    assert "no releases" in line("rollback", id, "--to", "fffffff", "--yes", code=1).err
    assert "tiphys history" in line("rollback", id, "--to", "", "--yes", code=1).err


# ── pause, resume, delete ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2h", NOW + timedelta(hours=2)),
        ("90m", NOW + timedelta(minutes=90)),
        ("3d", NOW + timedelta(days=3)),
        ("1.5h", NOW + timedelta(minutes=90)),
        ("1w", NOW + timedelta(weeks=1)),
        ("18:00", NOW.replace(hour=18)),
        ("8:00", (NOW + timedelta(days=1)).replace(hour=8)),
        ("2026-11-26T18:00:00Z", datetime(2026, 11, 26, 18, tzinfo=UTC)),
        ("2026-11-26T18:00:00+02:00", datetime(2026, 11, 26, 16, tzinfo=UTC)),
        ("2026-11-26 18:00", datetime(2026, 11, 26, 18, tzinfo=UTC)),
        ("2026-11-26", datetime(2026, 11, 26, tzinfo=UTC)),
    ],
)
def test_a_time_is_understood(text: str, wanted: datetime) -> None:
    assert wanted == moment(text, now=NOW)


def test_a_time_that_is_none_is_refused(line: Line) -> None:
    before = line.head()
    for until in ("yesterday", "", "-2h", "0h", "25:00", "2020-01-01", "99999999999d", "1e9h", "nan", "²h"):
        ran = line("pause", line.deployment(), f"--until={until}", "--yes", code=None)
        assert ran.code in (1, 2)
        assert "defect" not in ran.err
    assert before == line.head()


def test_a_pause_is_for_a_deployment_or_an_environment(line: Line) -> None:
    id = line.deployment()

    def enabled() -> object:
        return yaml.safe_load(line.read(f"{line.folder()}/application.yaml"))["spec"]["syncPolicy"]["automated"].get("enabled")

    for target in (id, "environment:dev"):
        line("pause", target, "--until", "2h", "--reason", "load test", "--yes")
        assert enabled() is False
        line("resume", target, "--yes")
        assert enabled() is None
    line("pause", "environment:dev", "--until", "2h", "--yes")
    assert "tiphys resume environment:dev" in line("resume", id, "--yes", code=3).err
    assert 1 == line("pause", "app:web", "--until", "2h", "--yes", code=None).code


def test_a_delete_takes_what_is_protected_by_name(line: Line) -> None:
    line("deploy", "web", "--to", "prod", "--image", f"{IMAGE}:1.0", "--confirm", "prod")
    line("create", "app", "api", "--image", "registry.example.org/acme/api", "--yes")
    line("deploy", "api", "--to", "dev,prod", "--image", "registry.example.org/acme/api:1", "--confirm", "prod", "--yes")
    dev, prod, last = line.deployment("dev", "api"), line.deployment("prod", "api"), line.deployment("prod", "web")
    assert f"--confirm {prod}" in line("delete", prod, "--yes", "--confirm", "prod", code=3).err  # protected: its id
    line("delete", prod, "--confirm", prod)
    line("delete", dev, "--yes")  # neither protected nor the last one
    before = line.head()
    assert "--confirm prod" in line("delete", last, "--yes", "--confirm", last, code=3).err  # the last one: the environment
    assert before == line.head()
    line("delete", last, "--confirm", "prod")
    assert ["dev"] == [one["environment"] for one in line.items("get", "deployments")]
    assert "deployments/prod/.gitkeep" in line.files()
    assert 1 == line("delete", last, "--yes", code=None).code


def test_a_deleted_id_is_in_the_history_still(line: Line) -> None:
    id = line.deployment()
    line("delete", id, "--confirm", "dev")
    assert ["delete", "deploy"] == [one["op"] for one in line.items("history", id)]


# ── others ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_yes_binds_locks_only(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that nobody saw runs on whatever head there is: somebody else's release is not asked about."""
    _meanwhile(monkeypatch, lambda: line.rival(_released(line, "1.5")))
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes")
    assert [f"{IMAGE}:2.0"] == line.items("get", "deployments")[0]["images"]


def test_the_same_deployment_made_by_somebody_else_meanwhile_is_a_conflict(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = "web-prod-aaaaaa"

    def rival() -> None:
        old = line.folder()
        files = {path.replace(old, f"deployments/prod/web/{theirs}"): line.read(path) for path in line.files() if path.startswith(old)}
        texts = {path: text.replace(line.deployment(), theirs).replace("dev", "prod") for path, text in files.items()}
        line.rival(texts)

    _meanwhile(monkeypatch, rival)
    ran = line("deploy", "web", "--to", "prod", "--image", f"{IMAGE}:2.0", "--confirm", "prod", code=3)
    assert theirs in ran.err
    assert [] == line.items("pending")


def test_a_release_that_changed_since_it_was_shown_is_a_conflict(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(_output: Output, _question: str) -> str:
        line.rival(_released(line, "1.5"), "deploy(web → dev): 1.5")
        return "y"

    monkeypatch.setattr(Output, "ask", answered)
    ran = line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", code=3)
    assert "changed since the plan was shown by Rival" in ran.err
    assert "deploy(web → dev): 1.5" in ran.err
    assert [f"{IMAGE}:1.5"] == line.items("get", "deployments")[0]["images"]
    assert [] == line.items("pending")


def test_what_others_changed_elsewhere_is_no_conflict(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(_output: Output, _question: str) -> str:
        line.rival({f"{line.folder()}/values.yaml": "replicas: 7\n", "README.md": "x\n"})
        return "yes"

    monkeypatch.setattr(Output, "ask", answered)
    line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0")
    assert "replicas: 7\n" == line.read(f"{line.folder()}/values.yaml")


def test_a_key_that_changed_since_it_was_shown_is_a_conflict_key_by_key(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line("set", line.deployment(), "replicas=1", "other=1", "--yes")

    def answered(_output: Output, _question: str) -> str:
        line.rival({f"{line.folder()}/values.yaml": "replicas: 7\nother: 1\n"})
        return "y"

    monkeypatch.setattr(Output, "ask", answered)
    line("set", line.deployment(), "other=2")  # theirs is another key
    line("set", line.deployment(), "replicas=3")
    ran = line("set", line.deployment(), "replicas=2", code=3)
    assert "they set it to 7, you wanted to set it to 2" in ran.err


def test_a_lock_that_was_set_meanwhile_refuses(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "environments/dev/environment.yaml"
    _meanwhile(monkeypatch, lambda: line.rival({path: line.read(path) + 'locks: [{by: "eve", reason: "incident"}]\n'}))
    assert "locked by eve" in line("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes", code=3).err


def _released(line: Line, tag: str) -> dict[str, str]:
    folder = line.folder()
    return {
        f"{folder}/{name}": line.read(f"{folder}/{name}").replace('"1.0"', f'"{tag}"') for name in ("release.yaml", "values.release.yaml")
    }


def _meanwhile(monkeypatch: pytest.MonkeyPatch, rival: object) -> None:
    """Let somebody else push once, between the plan and the write."""
    before = Journal.open
    done: list[bool] = []

    def opened(*args: object, **kwargs: object) -> object:
        if not done:
            done.append(True)
            rival()  # type: ignore[operator]
        return before(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Journal, "open", opened)
