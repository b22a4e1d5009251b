"""The command line (contract: one module per family of sub-commands; data on stdout, everything else on stderr).

`run` is the only way in: it parses, runs the command (on an asyncio loop, unless it needs none), turns `BackendError` into a sentence and
an exit code, and leaves the process at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, NoReturn

from backends.errors import BackendError
from tui.cli.output import Output


def run(argv: Sequence[str]) -> NoReturn:
    """Run one command line and leave the process with its exit code."""
    _harden()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell (`>&-`)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as the process
    with _terminal_as_it_was():
        code = execute(argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        code = code or 1
        sys.stderr.write(f"tiphys: stdout cannot be written: {error.strerror}\n")
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)  # daemon threads may be inside Git or a dead server: nothing is left that needs tidying


def execute(argv: Sequence[str]) -> int:
    """Run one command line in this process and return its exit code (tests call this)."""
    from tui.cli.parser import parse

    output = Output.plain()
    try:
        arguments = parse(argv)
        argv = ()  # a header or a URL in it may be secret
        output = Output(
            form=arguments.output,
            color=not arguments.no_color and not os.environ.get("NO_COLOR") and sys.stdout.isatty(),
            debug=arguments.debug,
        )
        work = arguments.command(arguments, output)
        return work if isinstance(work, int) else _complete(work, output)
    except BackendError as error:
        output.error(error)
        return error.exit_code
    except SystemExit as leave:  # argparse: usage, and --help
        return leave.code if isinstance(leave.code, int) else 2
    except KeyboardInterrupt:
        output.note("interrupted; nothing that was committed is undone")
        return 130
    except BrokenPipeError:  # the reader (`head`) has seen enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:  # noqa: BLE001 - the last wall: whatever we did not foresee is said in a sentence, and --debug shows where
        output.fault(error)
        return 1


@contextlib.contextmanager
def _terminal_as_it_was() -> Iterator[None]:
    """A password that is being typed when the command ends must not leave the shell without an echo."""
    try:
        import termios

        before = termios.tcgetattr(0)
    except (ImportError, termios.error):
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, before)


def _harden() -> None:
    """No core file of a process that holds tokens; and what threads die of is said like everything else, cleaned."""
    import resource
    import threading

    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    output = Output.plain()
    threading.excepthook = lambda told: output.unheard(told.exc_value, f"in the thread {told.thread.name if told.thread else '?'}")


def _complete(command: Coroutine[Any, Any, int], output: Output) -> int:
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(lambda _loop, context: output.unheard(context.get("exception"), str(context.get("message", ""))))
    task = loop.create_task(command)
    with contextlib.suppress(ValueError, NotImplementedError):  # not the main thread
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
    try:
        return loop.run_until_complete(task)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for left in asyncio.all_tasks(loop):
            left.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        asyncio.set_event_loop(None)
        loop.close()
