"""What live state costs: from a change at the server to a snapshot, 2,000 changes a second, and watching while nothing happens.

The server is a sandbox with lightweight Applications, in a process of its own; the watcher is another process (this module with arguments),
so that its CPU and memory are its own. `TIPHYS_BENCH_SECONDS` shortens the storm.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = float(os.environ.get("TIPHYS_BENCH_SECONDS", "60"))
RATE = 2_000
IDLE_SECONDS = 20.0
CHANGES = 25


def measure() -> Iterator[tuple[str, float, str]]:
    """(what, median or total, unit)."""
    for count in (100, 10_000):
        with server(count) as (url, token), watcher(url, token) as child:
            yield f"change at the server to snapshot, {count:,}", statistics.median(latencies(url, token, child)), "ms"
    with server(1_000) as (url, token), watcher(url, token) as child:
        yield "watch idle, CPU", ask(child, f"idle {IDLE_SECONDS}")["cpu"] * 100 / IDLE_SECONDS, "%"
    with server(10_000) as (url, token), watcher(url, token) as child:
        before = ask(child, "mark")
        yield "10,000 Applications live, memory of the watcher", before["rss"], "MB"
        sent, took = storm(url, token, SECONDS)
        after = ask(child, f"settle {before['events'] + sent}")
        heard = after["events"] - before["events"]
        yield f"{RATE:,} changes a second, sent in all", sent, ""
        yield f"{RATE:,} changes a second, not counted", sent - heard, ""
        yield f"{RATE:,} changes a second, rows that differ from a fresh list", after["different"], ""
        yield f"{RATE:,} changes a second, CPU of the watcher", (after["cpu"] - before["cpu"]) * 100 / took, "%"
        yield f"{RATE:,} changes a second, memory of the watcher", after["rss"], "MB"


@contextmanager
def server(count: int) -> Iterator[tuple[str, Path]]:
    """A sandbox with so many Applications; its URL and token file."""
    argv = [sys.executable, "-m", "backends.sandbox", "--empty", "--synthetic", str(count), "--faults", "--watch-buffer", "100000"]
    with subprocess.Popen([*argv, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        try:
            yield ready["argocd_url"], Path(ready["token_file"])
        finally:
            process.terminate()


@contextmanager
def watcher(url: str, token: Path) -> Iterator[subprocess.Popen[str]]:
    """The watcher's process, once its feed is live."""
    argv = [sys.executable, "-m", "tests.bench.live_bench", url, str(token)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "live" == json.loads(process.stdout.readline())["state"]
        try:
            yield process
        finally:
            process.terminate()


def ask(child: subprocess.Popen[str], command: str) -> dict[str, Any]:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{command}\n")
    child.stdin.flush()
    answer: dict[str, Any] = json.loads(child.stdout.readline())
    return answer


def latencies(url: str, token: Path, child: subprocess.Popen[str]) -> list[float]:
    """Milliseconds from asking the server for a change to the snapshot that has it, one change at a time."""
    found = []
    assert child.stdin is not None
    assert child.stdout is not None
    for _ in range(CHANGES):
        child.stdin.write("next\n")
        child.stdin.flush()
        json.loads(child.stdout.readline())  # it waits now
        began = time.monotonic()
        change(url, token, 1)
        at: float = json.loads(child.stdout.readline())["at"]
        found.append((at - began) * 1000)
        time.sleep(0.15)
    return found


def storm(url: str, token: Path, seconds: float) -> tuple[int, float]:
    """Changes at the rate for so long: how many, and how long it took."""
    began, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < seconds:
        due = int(elapsed * RATE) - sent
        if due >= 20:
            change(url, token, due)
            sent += due
        else:
            time.sleep(0.005)
    return sent, time.monotonic() - began


def change(url: str, token: Path, count: int) -> None:
    headers = {"Authorization": f"Bearer {token.read_text().strip()}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/sandbox/changes", json.dumps({"count": count}).encode(), headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        answer.read()


async def watch(url: str, token: str) -> None:
    """The watcher: a feed and a store, and answers on stdout to the commands on stdin."""
    from backends.argocd.http import connect
    from backends.argocd.options import Options, resolve
    from backends.domain.rollout import FeedState
    from backends.live.feeds import ApplicationsFeed
    from backends.live.store import Store

    loop = asyncio.get_running_loop()
    argocd, store = connect(resolve(Options(url=url, auth_token_file=token), environ={})), Store()
    feed = ApplicationsFeed(argocd, store, rows=True)
    running = asyncio.ensure_future(feed.run())
    while feed.status.state is not FeedState.LIVE:
        await asyncio.sleep(0.05)
    say(state="live")
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode():
        match line.split():
            case ["next"]:
                arrived = loop.create_future()
                end = store.subscribe(lambda shot, arrived=arrived: arrived.done() or not shot.keys or arrived.set_result(time.monotonic()))
                say(state="waiting")
                say(at=await arrived)
                end()
            case ["idle", seconds]:
                before = cpu()
                await asyncio.sleep(float(seconds))
                say(cpu=cpu() - before)
            case ["mark"]:
                say(events=feed.status.events, cpu=cpu(), rss=rss())
            case ["settle", events]:
                while feed.status.events < int(events) and store.snapshot.feed("applications").state is FeedState.LIVE:
                    before_events = feed.status.events
                    await asyncio.sleep(1.0)
                    if feed.status.events == before_events:
                        break  # nothing comes any more: what is missing is missing
                spent = cpu()
                shown = {key: face(row.application) for key, row in store.publish().rows.items()}
                listed = {one.key: face(one) for one in await argocd.list_applications()}
                different = sum(1 for key in shown.keys() | listed.keys() if shown.get(key) != listed.get(key))
                say(events=feed.status.events, cpu=spent, rss=rss(), different=different)
    running.cancel()


def face(app: Any) -> tuple[object, ...]:
    state = app.status.operation_state
    return app.status.sync.status, app.status.sync.revision, app.status.health.status, state and (state.phase, state.finished_at)


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def rss() -> float:
    """Resident memory now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    asyncio.run(watch(*sys.argv[1:]))
