"""Children: what they say comes whole, what hangs is killed with all it started."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from backends.engine import Cancel
from backends.errors import Cancelled
from backends.gitops import process

SHELL = {"PATH": os.environ["PATH"]}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until_dead(pid: int) -> None:
    until = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < until, f"{pid} still lives"
        time.sleep(0.01)


def test_large_input_and_output_do_not_block_each_other() -> None:
    data = os.urandom(3 << 20)

    done = process.run(["sh", "-c", "cat; echo end >&2; exit 3"], SHELL, data=data)

    assert (3, data, b"end\n", "") == tuple(done)


def test_a_child_that_ends_before_reading_its_input_is_no_error_of_ours() -> None:
    assert 4 == process.run(["sh", "-c", "exit 4"], SHELL, data=b"x" * (1 << 20)).code


def test_lines_of_stderr_come_as_they_are_written_carriage_returns_included() -> None:
    lines: list[str] = []

    process.run(["sh", "-c", r"printf 'a 1\ra 2\rdone\nno end' >&2"], SHELL, on_line=lines.append)

    assert ["a 1", "a 2", "done", "no end"] == lines


def test_a_child_has_a_session_of_its_own() -> None:
    out = process.run([sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"], SHELL).out

    assert b"True\n" == out


@pytest.mark.parametrize(("limits", "said"), [({"timeout": 0.3}, "timeout"), ({"stall": 0.3}, "stalled")])
def test_a_child_that_takes_too_long_is_killed_with_its_own_children(limits: dict[str, float], said: str, tmp_path: Path) -> None:
    done = process.run(["sh", "-c", f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/pid; wait; sleep 60"], SHELL, **limits)

    assert said == done.stopped
    wait_until_dead(int((tmp_path / "pid").read_text()))


def test_bytes_that_keep_coming_are_no_stall() -> None:
    done = process.run(["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo $i >&2; sleep 0.1; done"], SHELL, stall=0.5)

    assert (0, "") == (done.code, done.stopped)


def test_no_clock_runs_while_a_person_is_being_asked() -> None:
    asked_until = time.monotonic() + 0.8

    done = process.run(["sh", "-c", "sleep 1"], SHELL, timeout=0.5, stall=0.5, busy=lambda: time.monotonic() < asked_until)

    assert (0, "") == (done.code, done.stopped)


def test_cancelling_from_another_thread_ends_it() -> None:
    cancel = Cancel()
    threading.Timer(0.2, cancel.request).start()

    assert "cancelled" == process.run(["sleep", "60"], SHELL, cancel=cancel).stopped


def test_what_was_cancelled_before_is_not_started(tmp_path: Path) -> None:
    cancel = Cancel()
    cancel.request()

    with pytest.raises(Cancelled):
        process.run(["sh", "-c", f"sleep 0.1; touch {tmp_path}/ran"], SHELL, cancel=cancel)
    assert not (tmp_path / "ran").exists()


def test_a_grandchild_that_keeps_the_pipes_open_does_not_hold_us_up() -> None:
    done = process.run(["sh", "-c", "(setsid sleep 3 &) ; echo out"], SHELL, timeout=2)

    assert (0, b"out\n", "") == (done.code, done.out, done.stopped)


def test_children_die_with_the_interpreter(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"""
import pathlib, threading, time
from backends.gitops import process
command = ["sh", "-c", "echo $$ > {pid}; exec sleep 60"]
threading.Thread(target=process.run, args=(command, {SHELL!r}), daemon=True).start()
while not (pathlib.Path("{pid}").exists() and pathlib.Path("{pid}").read_text().strip()):
    time.sleep(0.01)
"""
    begun = time.monotonic()
    assert 0 == process.run([sys.executable, "-c", code], {**SHELL, "PYTHONPATH": str(Path(__file__).parents[2])}).code

    wait_until_dead(int(pid.read_text()))
    assert time.monotonic() - begun < 30
