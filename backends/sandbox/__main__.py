"""`python -m backends.sandbox`: run a sandbox until told to stop.

Prints one line of JSON when it is ready: argocd_url, token_file, repo_url, workspace, pid. Ends with SIGTERM or SIGINT, with its
parent (unless `--detached`), and with `--until-stdin-closes` when its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

from backends.sandbox import scenarios
from backends.sandbox.sandbox import TOKENS, Options, Sandbox
from backends.sandbox.server import Server
from backends.sandbox.stream import BUFFER

_PREFIX = "tiphys-sandbox-"
_PARENT_LOOK = 0.5


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m backends.sandbox", description="An Argo CD on loopback with simulated clusters.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--prefix", default="", help="path below which the API is served")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds in one real second")
    parser.add_argument("--seed", default="tiphys", help="what generated names are drawn from")
    parser.add_argument("--state", type=Path, help="folder whose state is taken up and kept (default: a private temporary one)")
    parser.add_argument("--empty", action="store_true", help="an empty repository and no Applications")
    parser.add_argument("--synthetic", type=int, default=0, metavar="N", help="add N lightweight Applications")
    parser.add_argument("--rate", type=float, default=0.0, metavar="R", help="changes a second among them")
    parser.add_argument("--watch-buffer", type=int, default=BUFFER, help="events that wait for a slow stream before some are dropped")
    parser.add_argument("--faults", action="store_true", help="serve the switches that break things on purpose")
    parser.add_argument("--detached", action="store_true", help="do not end with the parent process")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input ends")
    return parser.parse_args(argv)


async def run(options: argparse.Namespace, folder: Path, *, keep: bool) -> None:
    """Serve until a reason to stop; then everything is closed in order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.until_stdin_closes:
        threading.Thread(target=_follow_input, args=(loop, stop), name="tiphys-stdin", daemon=True).start()
    sandbox = Sandbox(
        Options(
            folder=folder,
            keep=keep,
            speed=options.speed,
            seed=options.seed,
            synthetic=options.synthetic,
            rate=options.rate,
            watch_buffer=options.watch_buffer,
            faults=options.faults,
        )
    )
    server = Server(sandbox, port=options.port, prefix=options.prefix)
    if not options.detached:
        _follow_parent(loop, stop, os.getppid())
    try:
        workspace = await scenarios.prepare(sandbox, empty=options.empty)
        sandbox.start()
        url = await server.start()
        ready = {
            "argocd_url": url,
            "token_file": str((folder / TOKENS["admin"]).resolve()),
            "repo_url": sandbox.repo_url,
            "workspace": workspace,
            "pid": os.getpid(),
        }
        print(json.dumps(ready), flush=True)
        await stop.wait()
    finally:
        await server.close()
        await sandbox.close()


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    _sweep()
    folder = options.state or Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    try:
        asyncio.run(run(options, folder, keep=options.state is not None))
    except OSError as error:  # a port that is taken, a folder that is not ours
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    finally:
        if options.state is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _follow_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """End when nothing more can come on standard input. A thread: not every kind of file can be watched by a loop."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop was closed for another reason
        loop.call_soon_threadsafe(stop.set)


def _follow_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, parent: int) -> None:
    """End when the process that started this one is gone: an orphan has another parent."""
    if os.getppid() != parent:
        stop.set()
    else:
        loop.call_later(_PARENT_LOOK, _follow_parent, loop, stop, parent)


def _sweep() -> None:
    """Remove folders that sandboxes of this user left behind when they were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and left.owner() == Path.home().owner() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            shutil.rmtree(left, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
