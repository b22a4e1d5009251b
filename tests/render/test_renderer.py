"""The renderer as a whole: warm, shared by threads, alive after a death, gone when it is closed."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.engine import Cancel
from backends.errors import Cancelled, Invalid, TimedOut, Unavailable
from backends.gitops.tree import SYMLINK, Entry, Tree
from backends.render import helm_process, render
from backends.render.export import Exports
from backends.render.helm_sdk import HelmSdk, installed
from backends.render.renderer import Renderer
from backends.render.sources import files_for, kind_of
from backends.render.types import RenderRequest, SourceKind
from tests.render.charts import PATH, chart, config_map

SLOW = "{{ range until 3000 }}{{ range until 3000 }}{{ range until 3000 }}{{ end }}{{ end }}{{ end }}"


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    if not installed():
        pytest.skip("needs the Helm SDK (the extra `helm`)")
    made = Renderer(programs="", processes=2)
    yield made
    made.close()


def one(name: str = "v") -> RenderRequest:
    return chart({"templates/a.yaml": config_map(name)})


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)


def processes(renderer: Renderer) -> list[int]:
    """The Helm processes that wait for work."""
    assert isinstance(renderer._helm, HelmSdk)
    return [child.pid for _, child in renderer._helm._idle]


def test_a_process_is_kept_and_used_again(renderer: Renderer) -> None:
    renderer.render(one())
    first = processes(renderer)
    renderer.render(one("w"))
    assert 1 == len(first)
    assert first == processes(renderer)


def test_a_process_is_kept_by_a_large_program_too(renderer: Renderer) -> None:
    """A child's peak memory outlives exec on Linux: what we hold ourselves must not count as the Helm process's."""
    ballast = bytearray(os.urandom(1 << 20)) * 400
    renderer.render(one())
    first = processes(renderer)
    renderer.render(one("w"))
    del ballast
    assert 1 == len(first)
    assert first == processes(renderer)


def test_a_dead_process_is_replaced(renderer: Renderer) -> None:
    renderer.render(one())
    (pid,) = processes(renderer)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}/maps").exists() or not Path(f"/proc/{pid}/maps").read_bytes())
    assert ["v"] == [each.name for each in renderer.render(one()).manifests]
    assert [pid] != processes(renderer)


def test_threads_share_it_and_each_gets_its_own(renderer: Renderer) -> None:
    found: dict[str, list[str]] = {}

    def work(name: str) -> None:
        found[name] = [each.name for each in renderer.render(one(name), timeout=60).manifests]

    threads = [threading.Thread(target=work, args=(f"v{n}",)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"v{n}": [f"v{n}"] for n in range(12)} == found
    assert len(processes(renderer)) <= 2


def test_waiting_for_a_process_ends_with_the_time_or_a_stop() -> None:
    busy = Renderer(programs="")
    stop = Cancel()

    def work() -> None:
        with pytest.raises(Cancelled):
            busy.render(chart({"templates/a.yaml": SLOW}), timeout=120, cancel=stop)

    busy.render(one())
    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: not processes(busy))
    with pytest.raises(TimedOut, match="waited for other renderings"):
        busy.render(one(), timeout=0.05)
    waiting = Cancel()
    threading.Timer(0.1, waiting.request).start()
    with pytest.raises(Cancelled):
        busy.render(one(), timeout=120, cancel=waiting)
    stop.request()
    thread.join()
    assert ["v"] == [each.name for each in busy.render(one()).manifests]
    busy.close()


def test_an_idle_process_goes_and_comes_back() -> None:
    short = Renderer(programs="", idle=0.05)
    short.render(one())
    until(lambda: not processes(short))
    assert ["v"] == [each.name for each in short.render(one()).manifests]
    short.close()


def test_it_is_ready_before_it_is_needed(renderer: Renderer) -> None:
    renderer.warm()
    until(lambda: processes(renderer))
    assert ["v"] == [each.name for each in renderer.render(one()).manifests]
    assert 1 == len(processes(renderer))


def test_a_large_process_is_replaced_after_its_answer(renderer: Renderer) -> None:
    renderer.render(one())
    before = processes(renderer)
    assert ["v"] == [
        each.name
        for each in renderer.render(
            chart({"templates/a.yaml": config_map("v"), "templates/b.yaml": '{{ $large := repeat 400000000 "a" }}'})
        ).manifests
    ]
    assert ["v"] == [each.name for each in renderer.render(one()).manifests]
    assert before != processes(renderer)


def test_an_sdk_that_does_not_start_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise ImportError('libhelm_c.so: wrong ELF class')")
    monkeypatch.setattr(helm_process, "__file__", str(broken))
    renderer = Renderer(programs="")
    with pytest.raises(Unavailable, match=r"the Helm SDK does not start: .*wrong ELF class"):
        renderer.render(one())
    renderer.close()


def test_one_that_is_closed_while_it_renders_ends_at_once(renderer: Renderer) -> None:
    renderer.render(one())
    failed: list[Exception] = []

    def work() -> None:
        try:
            renderer.render(chart({"templates/a.yaml": SLOW}), timeout=120)
        except (Invalid, ValueError) as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: not processes(renderer))
    renderer.close()
    thread.join(20)
    assert not thread.is_alive()
    assert 1 == len(failed)


def test_its_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    script = (
        "import os, sys, threading, time\n"
        "from tests.render.charts import chart\nfrom tests.render.test_renderer import SLOW, Renderer, one, processes\n"
        "renderer = Renderer(programs='')\nrenderer.render(one())\nprint(*processes(renderer), flush=True)\n"
        "slow = chart({'templates/a.yaml': SLOW})\n"
        "threading.Thread(target=lambda: renderer.render(slow, timeout=600), daemon=True).start()\n"
        "while processes(renderer): time.sleep(0.01)\n"
        "if sys.argv[1] == 'killed': os.kill(os.getpid(), 9)\n"
    )
    for how in ("killed", "ended"):
        ran = subprocess.run(
            [sys.executable, "-c", script, how],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        pid = int(ran.stdout)
        until(lambda pid=pid: not running(pid))


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" != Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] if Path(f"/proc/{pid}/stat").exists() else True


def test_importing_it_loads_nothing_that_takes_long() -> None:
    heavy = {"yaml", "tarfile", "gzip", "helm_python", "difflib", "git", "httpx", "aiohttp"}
    for modules, unwanted in (
        ("render, backends.render.types", {*heavy, "subprocess"}),
        ("render.renderer, backends.render.diff, backends.render.sources", heavy),
    ):
        code = f"import sys, backends.{modules}; print(sorted({unwanted!r} & set(sys.modules)))"
        assert "[]" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_shared_renderer_renders() -> None:
    request = RenderRequest(kind=SourceKind.DIRECTORY, files={"plain/a.yaml": config_map("a").encode()}, path="plain")
    assert ["a"] == [each.name for each in render(request).manifests]


def test_the_files_of_a_request_are_those_that_its_source_may_read() -> None:
    tree = Tree.of(
        {
            f"{PATH}/Chart.yaml": "name: web\n",
            f"{PATH}/templates/a.yaml": "",
            "apps/web/values.yaml": "{}\n",
            "apps/other/values.yaml": "{}\n",
            "base/kustomization.yaml": "resources: [a.yaml]\n",
            "base/a.yaml": "a: b\n",
            "prod/kustomization.yaml": "resources: [../base]\n",
            "plain/a.yaml": "",
        }
    )
    assert {f"{PATH}/Chart.yaml", f"{PATH}/templates/a.yaml", "apps/web/values.yaml"} == set(
        files_for(tree, SourceKind.HELM, PATH, ("apps/web/values.yaml", "gone.yaml"))
    )
    assert {"prod/kustomization.yaml", "base/kustomization.yaml", "base/a.yaml"} == set(files_for(tree, SourceKind.KUSTOMIZE, "prod"))
    assert {"plain/a.yaml": b""} == files_for(tree, SourceKind.DIRECTORY, "plain/")
    kinds = [kind_of(tree, path) for path in (PATH, "prod", "plain", ".")]
    assert [SourceKind.HELM, SourceKind.KUSTOMIZE, SourceKind.DIRECTORY, SourceKind.DIRECTORY] == kinds


def test_a_symbolic_link_in_a_chart_is_refused() -> None:
    blobs = {"1" * 40: b"name: web\n", "2" * 40: b"/home/me/.kube/config"}
    entries = {f"{PATH}/Chart.yaml": Entry(0o100644, "1" * 40), f"{PATH}/files/kubeconfig": Entry(SYMLINK, "2" * 40)}
    with pytest.raises(Invalid, match="files/kubeconfig is a symbolic link"):
        files_for(Tree(None, entries, blobs.__getitem__), SourceKind.HELM, PATH)


def test_a_swept_temporary_folder_is_made_again(renderer: Renderer) -> None:
    renderer.render(one())
    shutil.rmtree(renderer._private)
    (pid,) = processes(renderer)
    os.kill(pid, signal.SIGKILL)
    assert ["w"] == [each.name for each in renderer.render(one("w")).manifests]


def test_a_folder_that_somebody_else_made_in_its_place_is_not_used(renderer: Renderer) -> None:
    renderer.render(one())
    shutil.rmtree(renderer._private)
    renderer._private.mkdir(mode=0o777)
    renderer._private.chmod(0o777)
    with pytest.raises(Unavailable, match="is not a folder of this user alone"):
        renderer.render(one("w"))


def test_exports_are_kept_for_the_next_and_removed_when_nobody_needs_them(tmp_path: Path) -> None:
    exports = Exports(tmp_path / "private", kept=2)
    with exports.of({"a": b"1"}) as first:
        with exports.of({"a": b"1"}) as same:
            assert first.root == same.root
        assert b"1" == (first.root / "a").read_bytes()
    for data in (b"2", b"3"):
        with exports.of({"a": data}):
            pass
    assert not first.root.exists()
    assert 2 == len(list((tmp_path / "private").iterdir()))
    old = Exports(tmp_path / "old", age=0)
    with old.of({"a": b"1"}) as first, old.of({"a": b"1"}) as second:
        assert first.root != second.root
        assert b"1" == (first.root / "a").read_bytes()
    assert not first.root.exists()
    assert second.root.exists()


def test_a_full_disk_is_a_state_and_no_traceback(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    renderer.render(one())
    monkeypatch.setattr("backends.render.export.tempfile.mkdtemp", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        renderer.render(one("w"))
