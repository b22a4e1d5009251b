"""Turns in one clone: one at a time, whoever waits is told, and may stop waiting."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from backends.engine import Cancel
from backends.errors import Cancelled, TimedOut
from backends.gitops.lock import TurnLock
from backends.gitops.progress import Progress

HOLDER = """
import sys
from pathlib import Path
from backends.gitops.lock import TurnLock
with TurnLock(Path(sys.argv[1])).turn():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    assert "held\n" == child.stdout.readline()
    yield child
    child.kill()
    child.wait()


def test_the_holder_may_enter_again(tmp_path: Path) -> None:
    lock = TurnLock(tmp_path / "lock")

    with lock.turn(), lock.turn(timeout=0):
        pass
    with TurnLock(tmp_path / "lock").turn(timeout=0):
        pass


def test_another_process_waits_and_says_so(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    told: list[Progress] = []

    with pytest.raises(TimedOut), TurnLock(tmp_path / "lock").turn(timeout=0.2, progress=told.append):
        pass
    assert [Progress("wait", "waiting for another Tiphys on this host")] == told


def test_the_turn_comes_when_the_holder_is_killed(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    lock = TurnLock(tmp_path / "lock")

    with lock.turn(timeout=10, progress=lambda _: holder.kill()):
        pass


def test_waiting_can_be_cancelled(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    cancel = Cancel()

    with pytest.raises(Cancelled), TurnLock(tmp_path / "lock").turn(cancel=cancel, progress=lambda _: cancel.request()):
        pass


def test_threads_take_turns_also_with_one_lock_between_them(tmp_path: Path) -> None:
    lock, inside, most = TurnLock(tmp_path / "lock"), [0], [0]

    def work() -> None:
        for _ in range(20):
            with lock.turn():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [1] == most
