"""What only a process shows: questions in a terminal, broken pipes, signals, poor locales, and processes that die between two steps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.gitops.http_remote import serving
from tests.gitops.remotes import git
from tests.tui.line import IMAGE, Line
from tests.tui.terminal import ROOT, Terminal, argv, environment, piped

DEPLOY = ("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0")


def test_a_plan_is_shown_and_confirmed_in_a_terminal(line: Line) -> None:
    before = line.head()
    for answer, code in (("\r", 3), ("\x04", 3), ("y\r", 0)):
        terminal = Terminal(*DEPLOY)
        terminal.until("write this? (y/N) ")
        assert "main 1.0 → 2.0" in terminal.shown
        assert before == line.head()
        terminal.type(answer)
        assert code == terminal.end(), terminal.shown
    assert before != line.head()


def test_what_is_protected_is_typed_in_a_terminal(line: Line) -> None:
    before = line.head()
    for answer, code in (("y\r", 3), ("prod\r", 0)):
        terminal = Terminal("deploy", "web", "--to", "prod", "--image", f"{IMAGE}:2.0", "--yes")
        terminal.until("type prod to confirm: ")
        terminal.type(answer)
        assert code == terminal.end(), terminal.shown
        assert (code == 0) == (before != line.head())


def test_an_interrupt_at_the_question_writes_nothing(line: Line) -> None:
    before = line.head()
    terminal = Terminal(*DEPLOY)
    terminal.until("write this? (y/N) ")
    terminal.interrupt()
    assert 130 == terminal.end(), terminal.shown
    assert before == line.head()
    assert [] == line.items("pending")


def test_colour_is_for_terminals_and_can_be_switched_off(line: Line) -> None:
    line("pause", line.deployment(), "--until", "2h", "--yes")
    for extra, env in (((), {}), (("--no-color",), {}), ((), {"NO_COLOR": "1"})):
        terminal = Terminal("get", "deployments", *extra, env=env)
        assert 0 == terminal.end()
        assert "\x1b[3" not in terminal.shown or not extra + tuple(env)
    assert b"\x1b" not in piped("get", "deployments").stdout


@pytest.mark.parametrize("locale", ["C", "nonsense"])
def test_a_poor_locale_loses_glyphs_but_no_words(line: Line, locale: str) -> None:
    env = {"LANG": locale, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    ran = piped("deploy", "web", "--to", "dev", "--image", f"{IMAGE}:2.0", "--yes", "--reason", "Größe 日本", env=env)
    assert 0 == ran.returncode, ran.stderr
    assert b"deploy(web" in ran.stdout
    assert "Größe 日本" == line.items("history", line.deployment())[0]["reason"]
    assert 0 == piped("history", env=env).returncode


def test_a_reader_that_has_seen_enough_is_no_failure(line: Line) -> None:
    line.rival({f"docs/{n}": "x" for n in range(3)}, "words " * 20_000)
    for command in ("history", "get deployments -o json"):
        script = f"{sys.executable} -m tui {command} | head -c 1; echo ${{PIPESTATUS[0]}}"
        ran = subprocess.run(
            ["bash", "-c", script], env=environment(), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
        assert ran.stdout.splitlines()[-1][-1:] == "0", (command, ran)
        assert "Traceback" not in ran.stderr
        assert "Exception" not in ran.stderr


def test_closed_streams_are_no_crash(line: Line) -> None:
    for closed in (">&-", "<&- >&- 2>&-", "> /dev/full"):
        script = f"{sys.executable} -m tui get apps {closed}"
        ran = subprocess.run(["bash", "-c", script], env=environment(), capture_output=True, text=True, timeout=60)
        assert ran.returncode in (0, 1), (closed, ran)
        assert "Traceback" not in ran.stderr, (closed, ran)


def test_a_transfer_that_hangs_is_ended_by_ctrl_c_and_leaves_nothing_locked(line: Line, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        url = f"{server.url}/{line.remote.name}"
        line("get", "apps", "--repo", url)
        server.silent = True
        terminal = Terminal(*DEPLOY, "--yes", "--repo", url)
        while not any("info/refs" in path for _, path, _ in server.seen[1:]):
            terminal._read(0.05)
        terminal.interrupt()
        assert 130 == terminal.end(seconds=5), terminal.shown
        server.silent = False
        line(*DEPLOY, "--yes", "--repo", url)
        assert [] == line.items("pending", "--repo", url)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_with_130(line: Line, tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as server:
        server.silent = True
        process = subprocess.Popen(
            argv("get", "apps", "--repo", f"{server.url}/{line.remote.name}"),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        while not server.seen:
            assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate(timeout=5)
        server.silent = False
    assert 130 == process.returncode, err


KILLED = """
    import os, sys
    from backends.gitops import writer
    step, was = os.environ["STEP"], writer._Writing._step
    def killed(self, name):
        was(self, name)
        if name == step:
            os.kill(os.getpid(), 9)
    writer._Writing._step = killed
    from tui.cli import run
    run(sys.argv[1:])
"""


@pytest.mark.parametrize("step", ["journalled", "committed", "noted", "pushed"])
def test_a_process_killed_between_two_steps_loses_and_doubles_nothing(line: Line, step: str) -> None:
    before = int(git(line.remote, "rev-list", "--count", "main"))
    script = [sys.executable, "-c", textwrap.dedent(KILLED), *DEPLOY, "--yes", "--reason", "night"]
    died = subprocess.run(script, env=environment({"STEP": step}), capture_output=True, timeout=60, cwd=ROOT)
    assert -9 == died.returncode, died.stderr
    arrived = step == "pushed"
    assert before + arrived == int(git(line.remote, "rev-list", "--count", "main"))

    assert arrived != ("has not arrived" in line("get", "deployments").err)  # a read reports it
    found = line.items("pending")
    assert ["pushed" if arrived else "absent"] == [one["outcome"] for one in found]
    if not arrived:
        change = found[0]["change"]
        assert "has not arrived" in line("set", line.deployment(), "a=1", "--plan").err  # and so does the next writing command
        assert 3 == line("pending", change, "--run", code=None).code  # asks
        line("pending", change, "--run", "--yes")
    assert [] == line.items("pending")
    assert before + 1 == int(git(line.remote, "rev-list", "--count", "main"))
    newest = line.items("history", line.deployment())[0]
    assert ([f"{IMAGE}:2.0"], "night") == (newest["images"], newest["reason"])


def test_an_unfinished_change_can_be_dropped(line: Line) -> None:
    script = [sys.executable, "-c", textwrap.dedent(KILLED), *DEPLOY, "--yes"]
    subprocess.run(script, env=environment({"STEP": "noted"}), capture_output=True, timeout=60, cwd=ROOT)
    (entry,) = line.items("pending")
    assert "pending lists them" in line("pending", "--drop", code=None).err
    assert 1 == line("pending", "nonsense", "--drop", code=None).code
    before = line.head()
    line("pending", entry["change"], "--drop")
    assert [] == line.items("pending")
    assert before == line.head()


def test_a_protected_change_that_was_unfinished_takes_its_name_again(line: Line) -> None:
    arguments = ("deploy", "web", "--to", "prod", "--image", f"{IMAGE}:2.0", "--confirm", "prod")
    script = [sys.executable, "-c", textwrap.dedent(KILLED), *arguments]
    subprocess.run(script, env=environment({"STEP": "noted"}), capture_output=True, timeout=60, cwd=ROOT)
    (entry,) = line.items("pending")
    assert "--confirm prod" in line("pending", entry["change"], "--run", "--yes", code=3).err
    line("pending", entry["change"], "--run", "--confirm", "prod")
    assert ["dev", "prod"] == sorted(one["environment"] for one in line.items("get", "deployments"))


def test_two_at_once_take_turns(line: Line) -> None:
    id, before = line.deployment(), int(git(line.remote, "rev-list", "--count", "main"))
    processes = [
        subprocess.Popen(
            argv("set", id, f"key{n}={n}", "--yes"),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for n in range(3)
    ]
    for process in processes:
        out, err = process.communicate(timeout=90)
        assert 0 == process.returncode, (out, err)
    assert before + 3 == int(git(line.remote, "rev-list", "--count", "main"))
    assert {f"key{n}: {n}" for n in range(3)} <= set(line.read(f"{line.folder()}/values.yaml").splitlines())


def test_a_version_is_a_literal(line: Line) -> None:
    ran = piped("--version")
    assert (0, b"tiphys ", b"") == (ran.returncode, ran.stdout[:7], ran.stderr)


def test_what_is_remembered_is_private(line: Line, own_home: Path) -> None:
    piped("get", "apps")
    for folder in (".config/tiphys", ".cache/tiphys", ".local/state/tiphys"):
        if (own_home / folder).exists():
            assert 0o700 == (own_home / folder).stat().st_mode & 0o777
    assert 0o600 == (own_home / ".config/tiphys/workspaces.toml").stat().st_mode & 0o777
    assert os.environ["HOME"] == str(own_home)
