"""The `helm` program: a script that stands for it shows what it is given; a real one, where there is one, renders the same as the SDK."""

import json
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.engine import Cancel
from backends.errors import Cancelled, Invalid, TimedOut
from backends.render.child import Limits
from backends.render.renderer import NO_HELM, Renderer
from backends.render.types import Manifest
from tests.render.charts import CHART, PATH, chart, config_map

VERSION = 'version.BuildInfo{Version:"v4.2", GitCommit:"", GitTreeState:"", GoVersion:"go1.26", KubeClientVersion:"v1.36"}'


@pytest.fixture
def fake(programs: Path) -> Iterator[Renderer]:
    renderer = Renderer(programs=str(programs), limits=Limits(output=1 << 20, file=1 << 20, memory=200 << 20))
    yield renderer
    renderer.close()


def write(programs: Path, body: str, *, version: str = VERSION, name: str = "helm") -> None:
    """A program that says its version and otherwise does what `body` says."""
    said = f"if sys.argv[1:] == ['version']:\n    print({version!r})\n    sys.exit()\n"
    (programs / name).write_text(f"#!{sys.executable} -ISB\nimport sys, os, json, time\n{said}{body}\n")
    (programs / name).chmod(0o755)


SHOW = """
show = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "files": sorted(os.listdir("."))}
show["group"] = os.getpgid(0) == os.getpid()
show["values"] = [open(sys.argv[i + 1]).read() for i, word in enumerate(sys.argv) if word == "--values"]
print(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shown"}, "data": {"seen": json.dumps(show)}}))
"""


def test_it_is_called_as_argo_cd_calls_it(fake: Renderer, programs: Path) -> None:
    write(programs, SHOW)
    values = {"apps/web/a,b=c.yaml": "a: 1\n", "environments/prod/values.yaml": "b: 2\n"}
    request = chart({"templates/a.yaml": ""}, values=values, kube_version="1.35.2", api_versions=("v1", "apps/v1/Deployment"))
    rendered = fake.render(request)
    show = json.loads(json.loads(rendered.manifests[0].text)["data"]["seen"])
    folder = next(word for word in show["argv"] if word.endswith("0.yaml")).removesuffix("0.yaml")
    assert [
        *("template", ".", "--name-template", "web-prod-k3x7qa", "--namespace", "web-prod", "--kube-version", "1.35.2"),
        *("--api-versions", "v1", "--api-versions", "apps/v1/Deployment"),
        *("--values", f"{folder}0.yaml", "--values", f"{folder}1.yaml", "--include-crds"),
    ] == show["argv"]
    assert ["a: 1\n", "b: 2\n"] == show["values"]
    assert (PATH, ["Chart.yaml", "templates"]) == (show["cwd"].partition("/charts/")[1].strip("/") + "/web/1.0.0", show["files"])
    assert show["group"]
    assert "Helm 4.2 for Kubernetes 1.35.2" == rendered.by


def test_its_environment_holds_nothing_of_ours(fake: Renderer, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ARGOCD_AUTH_TOKEN",
        "HELM_KUBETOKEN",
        "HELM_PLUGINS",
        "HELM_NAMESPACE",
        "AWS_SECRET_ACCESS_KEY",
        "http_proxy",
        "SSL_CERT_FILE",
    ):
        monkeypatch.setenv(name, "canary-7712")
    monkeypatch.setenv("KUBECONFIG", "/home/me/.kube/config")
    write(programs, SHOW)
    env = json.loads(json.loads(fake.render(chart({})).manifests[0].text)["data"]["seen"])["env"]
    assert "canary" not in json.dumps(env)
    assert set() == set(env) & {"KUBECONFIG", "http_proxy", "USER", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "HELM_NAMESPACE"}
    ours = {"LANG", "LD_LIBRARY_PATH", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK", "LC_CTYPE"}
    assert [] == [name for name, value in env.items() if name not in ours and "/tiphys-" not in value]


def test_what_it_says_is_told_with_paths_of_the_repository(fake: Renderer, programs: Path) -> None:
    write(
        programs,
        """
print("level=WARN msg=nothing", file=sys.stderr)
print("Error: failed to parse " + sys.argv[sys.argv.index("--values") + 1] + ": yaml: line 1", file=sys.stderr)
print("\\nUse --debug flag to render out invalid YAML", file=sys.stderr)
sys.exit(1)""",
    )
    with pytest.raises(Invalid) as caught:
        fake.render(chart({}, values={"apps/web/values.yaml": "a: ["}))
    assert "failed to parse apps/web/values.yaml: yaml: line 1" == caught.value.message
    write(programs, 'sys.exit("Error: open " + os.getcwd() + "/templates/a.yaml: \\x1b[31mno")')
    with pytest.raises(Invalid) as caught:
        fake.render(chart({}))
    assert f"open {PATH}/templates/a.yaml: �[31mno" == caught.value.message


def test_missing_dependencies_are_said(fake: Renderer, programs: Path) -> None:
    write(
        programs,
        'sys.exit("Error: An error occurred while checking for chart dependencies. You may need to run `helm dependency build` to fetch '
        'missing dependencies: found in Chart.yaml, but missing in charts/ directory: postgresql, redis")',
    )
    assert "not rendered here: the chart needs postgresql, redis, which its charts/ folder does not hold" == fake.render(chart({})).missing


def test_a_chart_for_another_kubernetes_than_helm_assumes_is_not_rendered_here(fake: Renderer, programs: Path) -> None:
    said = "chart requires kubeVersion: <1.20 which is incompatible with Kubernetes v1.36.0"
    write(programs, f"sys.exit('Error: {said}')")
    assert f"not rendered here: {said}" == fake.render(chart({})).missing
    with pytest.raises(Invalid, match="chart requires kubeVersion"):
        fake.render(chart({}, kube_version="1.36.0"))


def test_endless_output_ends(fake: Renderer, programs: Path) -> None:
    write(programs, "while True: os.write(1, b'a' * 65536)")
    with pytest.raises(Invalid, match="renders to more than 1 MiB and was stopped"):
        fake.render(chart({}))


def test_endless_noise_neither_blocks_nor_grows(fake: Renderer, programs: Path) -> None:
    write(programs, "for _ in range(400): os.write(2, b'noise ' * 9000)\nsys.exit('Error: at last')")
    with pytest.raises(Invalid, match="at last"):
        fake.render(chart({}))


def test_files_that_it_writes_have_a_bound(fake: Renderer, programs: Path) -> None:
    write(
        programs,
        """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    open(os.environ["TMPDIR"] + "/big", "wb").write(bytes(2 << 20))
except OSError as error:
    sys.exit("Error: " + error.strerror)""",
    )
    with pytest.raises(Invalid, match="File too large"):
        fake.render(chart({}))


def test_it_reaches_no_server_not_even_on_this_machine(fake: Renderer, programs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        write(
            programs, f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)\nsys.exit('Error: connected')"
        )
        with pytest.raises(Invalid) as caught:
            fake.render(chart({}))
    if "connected" in caught.value.message:
        pytest.skip("needs a kernel that gives a user a network namespace of his own")
    assert "unreachable" in caught.value.message


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces RLIMIT_DATA")
def test_its_memory_has_a_bound(fake: Renderer, programs: Path) -> None:
    write(programs, "bytearray(300 << 20)")
    with pytest.raises(Invalid, match="MemoryError"):
        fake.render(chart({}))


def test_it_and_what_it_starts_are_killed_when_time_is_over_or_somebody_stops_it(fake: Renderer, programs: Path, tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    write(programs, f"pid = os.fork()\nopen({str(tmp_path / 'pids')!r} + '/' + str(os.getpid()), 'w').close()\ntime.sleep(600)")
    with pytest.raises(TimedOut):
        fake.render(chart({}), timeout=1.5)
    cancel = Cancel()
    threading.Timer(0.3, cancel.request).start()
    with pytest.raises(Cancelled):
        fake.render(chart({}), timeout=60, cancel=cancel)
    ran = [int(path.name) for path in (tmp_path / "pids").iterdir()]
    assert ran
    assert [] == [pid for pid in ran if alive(pid)]


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie that its new parent has not reaped does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def test_one_that_is_too_old_or_not_helm_at_all_is_passed_over(sdk: Renderer, programs: Path) -> None:
    for version in ('&version.Version{SemVer:"v2.17.0"}', 'version.BuildInfo{Version:"v2.9.1"}', "usage: helm"):
        write(programs, "sys.exit('Error: used')", version=version)
        renderer = Renderer(programs=str(programs))
        assert "Helm 4.2 for Kubernetes 1.36" == renderer.render(chart({"templates/a.yaml": config_map("v")})).by
        renderer.close()


def test_a_relative_entry_of_the_path_brings_no_program(sdk: Renderer, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(programs, "sys.exit('Error: used')")
    monkeypatch.chdir(programs)
    renderer = Renderer(programs=":.:./bin:")
    assert ["v"] == [one.name for one in renderer.render(chart({"templates/a.yaml": config_map("v")})).manifests]
    renderer.close()


def test_without_a_program_and_without_the_sdk_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.render.renderer.installed", lambda: False)
    renderer = Renderer(programs="")
    assert NO_HELM == renderer.render(chart({})).missing
    renderer.close()


def test_the_sdk_goes_first_where_that_is_asked_for(sdk: Renderer, programs: Path) -> None:
    write(programs, SHOW)
    renderer = Renderer(programs=str(programs), sdk_first=True)
    assert ["v"] == [one.name for one in renderer.render(chart({"templates/a.yaml": config_map("v")})).manifests]
    renderer.close()


def test_a_real_helm_renders_what_the_sdk_renders(sdk: Renderer) -> None:
    program = shutil.which("helm")
    if program is None:
        pytest.skip("needs a helm program on the PATH")
    real = Renderer(programs=str(Path(program).parent))
    request = chart(
        {
            "Chart.yaml": CHART + "dependencies:\n- {name: sub, version: 1.0.0, condition: sub.enabled}\n",
            "values.yaml": "a: {x: 1, y: 2}\nsub: {enabled: true}\n",
            "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
            "charts/sub/templates/a.yaml": config_map("sub"),
            "crds/a.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a.example.org}\n",
            "templates/a.yaml": config_map(
                "v", '{all: {{ .Values | toJson | quote }}, look: {{ lookup "v1" "Pod" "" "" | toJson | quote }}}'
            ),
            "templates/hook.yaml": config_map("h", annotations="{helm.sh/hook: pre-install}"),
            "templates/odd.yaml": config_map("o", annotations="{helm.sh/hook: crd-install}"),
            "templates/test.yaml": config_map("t", annotations="{helm.sh/hook: test}"),
        },
        values={"v.yaml": "a: {y: null, z: 1e7}\n---\nb: 012\n"},
    )
    ours, theirs = sdk.render(request), real.render(request)
    real.close()

    def ordered(manifests: tuple[Manifest, ...]) -> list[Manifest]:
        return sorted(manifests, key=lambda one: one.name)

    assert ordered(ours.manifests) == ordered(theirs.manifests)
