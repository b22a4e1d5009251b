"""Charts that mean harm, rendered by the real Helm SDK: what they may not see, may not reach and may not use up."""

import gzip
import http.server
import json
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.engine import Cancel
from backends.errors import Cancelled, Invalid, TimedOut
from backends.render import archives
from backends.render.child import Limits
from backends.render.helm_sdk import installed
from backends.render.renderer import Renderer
from tests.render.charts import PATH, archive, chart, config_map, member, vendored


@pytest.fixture(scope="module")
def small() -> Iterator[Renderer]:
    """Limits that are met quickly."""
    if not installed():
        pytest.skip("needs the Helm SDK (the extra `helm`)")
    renderer = Renderer(programs="", limits=Limits(memory=400 << 20, output=1 << 20))
    yield renderer
    renderer.close()


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def works(renderer: Renderer) -> bool:
    """Whether it still renders what means no harm."""
    return ["v"] == [one.name for one in renderer.render(chart({"templates/a.yaml": config_map("v")})).manifests]


@pytest.mark.parametrize(
    "path",
    [
        "../outside.yaml",
        "templates/../../../../etc/cron.d/x",
        "/etc/passwd",
        "templates//a.yaml",
        "./a.yaml",
        "templates/.git/config",
        "templates/a\nb.yaml",
        "templates/a\x1b[31m.yaml",
        "templates/a\0.yaml",
        "templates/a\u202eb.yaml",
        "templates\\a.yaml",
        "templates/" + "a" * 256,
        "templates/\udcff.yaml",
    ],
)
def test_a_path_that_leads_out_or_is_odd_is_refused_before_anything_is_written(sdk: Renderer, path: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is refused"):
        sdk.render(chart({"templates/a.yaml": config_map("v"), path: "x: 1"}))


def test_a_file_that_is_also_a_folder_is_refused(sdk: Renderer) -> None:
    with pytest.raises(Invalid, match=f"{PATH}/templates is a file and a folder"):
        sdk.render(chart({"templates": "x", "templates/a.yaml": "x"}))


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (member("sub/templates/leak", kind=tarfile.SYMTYPE, link="/etc/passwd"), "is a link or a device"),
        (member("sub/templates/leak", kind=tarfile.LNKTYPE, link="sub/Chart.yaml"), "is a link or a device"),
        (member("sub/templates/pipe", kind=tarfile.FIFOTYPE), "is a link or a device"),
        (member("sub/../../../etc/cron.d/x", b"x"), "leads out of its folder"),
        (member("/etc/cron.d/x", b"x"), "absolute"),
        (member("sub\\..\\..\\x", b"x"), "leads out of its folder"),
        (member("sub/charts\\x.tgz", b"x"), "holds a backslash"),
        (member("sub/values.schema.json/.", b"{}"), "not a path that Git holds"),
        (member("sub/charts/./x.tgz", b"x"), "not a path that Git holds"),
        (member("c:/x", b"x"), "can be read in two ways"),
    ],
)
def test_an_archive_with_a_link_or_a_way_out_is_refused(sdk: Renderer, extra: tuple[tarfile.TarInfo, bytes], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        sdk.render(chart({"charts/sub-1.0.0.tgz": vendored("sub", extra), "templates/a.yaml": config_map("v")}))


def test_an_archive_that_unpacks_without_end_is_refused(sdk: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_UNPACKED", 1 << 20)
    bomb = vendored("sub", member("sub/files/zeros", bytes(4 << 20)))
    assert len(bomb) < 20_000
    with pytest.raises(Invalid, match="unpacks to more than 1 MiB"):
        sdk.render(chart({"charts/sub-1.0.0.tgz": bomb}))


def test_archives_in_archives_have_an_end(sdk: Renderer) -> None:
    inner = vendored("sub")
    for _ in range(4):
        inner = vendored("sub", member("sub/charts/sub.tgz", inner))
    with pytest.raises(Invalid, match="nests archives more than 3 deep"):
        sdk.render(chart({"charts/sub-1.0.0.tgz": inner}))


UNREADABLE = {
    "empty": b"",
    "text": b"not an archive",
    "head": b"\x1f\x8b\x08\0\0\0\0\0\0\0",
    "cut": archive(member("sub/a", b"x" * 9999))[:60],
}


@pytest.mark.parametrize(
    "data", UNREADABLE.values(), ids=UNREADABLE
)  # an archive holds the time: as a name it would differ in each process
def test_an_archive_that_cannot_be_read_is_an_error_of_the_chart(sdk: Renderer, data: bytes) -> None:
    with pytest.raises(Invalid, match=r"charts/sub\.tgz"):
        sdk.render(chart({"charts/sub.tgz": data}))


@pytest.mark.parametrize("where", ["values.schema.json", "charts/sub/values.schema.json"])
def test_a_values_schema_never_leads_to_another_machine(sdk: Renderer, listener: tuple[str, list[str]], where: str) -> None:
    url, asked = listener
    files = {"charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "templates/a.yaml": config_map("v")}
    rendered = sdk.render(chart({**files, where: json.dumps({"properties": {"a": {"$ref": f"{url}/schema.json"}}})}))
    assert (f"values were not checked: {PATH}/{where} refers to {url}/schema.json",) == rendered.warnings
    assert ["v"] == [one.name for one in rendered.manifests]
    assert [] == asked


@pytest.mark.parametrize(
    "schema",
    [
        '{"$ref": "%s"}',
        '{"$id": "file:///", "$ref": "%s"}',
        '{"$schema": "%s"}',
        '{"\\u0024ref": "%s"}',
        '{"allOf": [{"if": {"$dynamicRef": "%s"}}]}',
        '{"$ref": "%s", "$ref": "#/definitions/a"}',
    ],
)
def test_a_values_schema_never_reads_a_file_of_this_machine(sdk: Renderer, schema: str, tmp_path: Path) -> None:
    canary = tmp_path / "config.json"
    canary.write_text('{"const": "canary-3f9a1c"}')
    for reference in (canary.as_uri(), str(canary), str(canary).lstrip("/")):
        rendered = sdk.render(
            chart({"values.schema.json": schema % reference, "templates/a.yaml": config_map("v")}, values={"v.yaml": "a: 1\n"})
        )
        assert "canary" not in str(rendered)
        assert 1 == len(rendered.warnings)


def test_a_values_schema_in_an_archive_never_leads_elsewhere_either(sdk: Renderer, listener: tuple[str, list[str]]) -> None:
    url, asked = listener
    schema = json.dumps({"$ref": f"{url}/x.json"}).encode()
    inner = vendored("inner", member("inner/values.schema.json", schema))
    packed = vendored("sub", member("sub/values.schema.json", schema), member("sub/charts/inner.tgz", inner))
    rendered = sdk.render(chart({"charts/sub-1.0.0.tgz": packed}))
    where = f"values were not checked: {PATH}/charts/sub-1.0.0.tgz"
    assert (
        f"{where}: sub/values.schema.json refers to {url}/x.json",
        f"{where}: sub/charts/inner.tgz: inner/values.schema.json refers to {url}/x.json",
    ) == rendered.warnings
    assert {"from-sub", "from-inner"} == {one.name for one in rendered.manifests}
    assert [] == asked


def test_what_helm_reads_of_an_archive_is_what_was_checked(sdk: Renderer) -> None:
    # A size that one reader takes for 0 and another for 512: to the first, the next member begins inside the data of this one.
    hidden = member("sub/values.schema.json", b'{"$ref": "https://schemas.example.org/x.json"}')
    raw = bytearray(gzip.decompress(vendored("sub", member("sub/x", bytes(512)), hidden)))
    at = raw.index(b"sub/x\0")
    raw[at + 124 : at + 136] = b"\0" + b"0000001000\0"
    raw[at + 148 : at + 156] = b"        "
    raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])
    rendered = sdk.render(chart({"charts/sub-1.0.0.tgz": gzip.compress(bytes(raw))}))
    assert ["from-sub"] == [one.name for one in rendered.manifests]


@pytest.mark.parametrize(
    "draft", ["https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#", "http://json-schema.org/schema"]
)
def test_a_values_schema_that_refers_to_itself_is_used(sdk: Renderer, draft: str) -> None:
    schema = {
        "$schema": draft,
        "$defs": {"count": {"type": "integer"}},
        "properties": {"a": {"$ref": "#/$defs/count"}},
    }
    with pytest.raises(Invalid, match="at '/a': got string, want integer"):
        sdk.render(chart({"values.schema.json": json.dumps(schema)}, values={"v.yaml": "a: x\n"}))


def test_endless_output_ends(small: Renderer) -> None:
    with pytest.raises(Invalid, match="renders to more than 1 MiB and was stopped"):
        small.render(chart({"templates/a.yaml": '{{ range until 40000 }}{{ repeat 100 "a" }}\n{{ end }}'}))
    assert works(small)


@pytest.mark.parametrize("template", ["{{ range until 2000000000 }}{{ end }}", '{{ repeat 2000000000 "aaaa" }}'])
def test_endless_memory_ends(small: Renderer, template: str) -> None:
    with pytest.raises(Invalid, match="needs more than 400 MiB of memory and was stopped"):
        small.render(chart({"templates/a.yaml": template}))
    assert works(small)


def test_endless_recursion_ends(small: Renderer) -> None:
    for call in ('{{ template "a" . }}', '{{ include "a" . }}', "{{ tpl .Values.a . }}"):
        with pytest.raises(Invalid):
            small.render(
                chart({"values.yaml": "a: '{{ tpl .Values.a . }}'\n", "templates/a.yaml": f'{{{{ define "a" }}}}{call}{{{{ end }}}}{call}'})
            )
    assert works(small)


def test_endless_time_ends(small: Renderer) -> None:
    loop = "{{ range $i := until 3000 }}{{ range $j := until 3000 }}{{ range $k := until 3000 }}{{ end }}{{ end }}{{ end }}"
    with pytest.raises(TimedOut, match="took too long and was stopped"):
        small.render(chart({"templates/a.yaml": loop}), timeout=0.5)
    assert works(small)


def test_a_stop_ends_what_runs_and_the_next_one_renders(small: Renderer) -> None:
    loop = "{{ range $i := until 3000 }}{{ range $j := until 3000 }}{{ range $k := until 3000 }}{{ end }}{{ end }}{{ end }}"
    assert works(small)  # the process is warm
    cancel = Cancel()
    threading.Timer(0.1, cancel.request).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        small.render(chart({"templates/a.yaml": loop}), timeout=60, cancel=cancel)
    assert time.monotonic() - began < 30
    assert works(small)
    with pytest.raises(Cancelled):
        small.render(chart({"templates/a.yaml": loop}), cancel=cancel)


def test_yaml_made_to_be_slow_to_read_is_refused(small: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.render.manifests.MOST_NODES", 10_000)
    with pytest.raises(Invalid, match="more than 10,000 YAML nodes"):
        small.render(chart({"templates/a.yaml": "kind: A\napiVersion: v1\nx: [{{ range until 20000 }}a,{{ end }}]\n"}))
    with pytest.raises(Invalid, match="nesting"):
        small.render(chart({"templates/a.yaml": '{{ repeat 5000 "[" }}'}))


def test_the_helm_process_sees_nothing_of_ours(small: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOCD_AUTH_TOKEN", "canary-7712")
    monkeypatch.setenv("KUBECONFIG", "/home/me/.kube/config")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    with pytest.raises(TimedOut):  # so that the next process starts in this environment
        small.render(
            chart({"templates/a.yaml": "{{ range until 3000 }}{{ range until 3000 }}{{ range until 3000 }}{{ end }}{{ end }}{{ end }}"}),
            timeout=0.05,
        )
    assert works(small)
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc")
    seen = [child for child in Path("/proc").glob("[0-9]*/stat") if child.read_text().rpartition(")")[2].split()[1] == str(os.getpid())]
    environments = [data for one in seen if b"HELM_PLUGINS" in (data := (one.parent / "environ").read_bytes())]
    assert environments
    for data in environments:
        names = {pair.partition(b"=")[0].decode() for pair in data.split(b"\0") if pair}
        assert not names & {"ARGOCD_AUTH_TOKEN", "KUBECONFIG", "HTTPS_PROXY", "SSH_AUTH_SOCK", "USER"}
        assert b"canary" not in data
        assert str(Path.home()).encode() + b"/" not in data.replace(b"LD_LIBRARY_PATH=", b"")


def test_nothing_is_left_on_disk_when_the_renderer_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    renderer = Renderer(programs="")
    assert works(renderer)
    (private,) = tmp_path.iterdir()
    assert 0o700 == private.stat().st_mode & 0o777
    for path in private.rglob("*"):
        assert 0 == path.stat().st_mode & 0o077, path
    renderer.close()
    assert [] == list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="closed"):
        works(renderer)
