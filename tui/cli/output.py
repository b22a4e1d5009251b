"""Where every byte of the command line goes out: data on stdout, progress, questions and failures on stderr.

All of it passes `backends.text.clean` here once more, so that no command can let a control byte through, whatever it prints.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TextIO
from unicodedata import combining, east_asian_width

import msgspec

from backends.errors import BackendError, Invalid
from backends.text import clean, clean_json, clean_values

if TYPE_CHECKING:
    from backends.gitops.progress import Progress

_LIMIT = 64 * 1024 * 1024
"""Characters of one line of JSON; a cut line would not be JSON."""

_COLORS = {
    "Live": "32", "Healthy": "32", "Synced": "32", "Syncing": "36", "RolledOut": "36", "Detected": "36", "Committed": "36",
    "Progressing": "36", "Degraded": "31", "SyncFailed": "31", "Missing": "31", "Drifted": "33", "OutOfSync": "33", "Blocked": "33",
    "Paused": "33", "Suspended": "33", "Unknown": "2", "Deleting": "2", "Gone": "2",
}  # fmt: skip


class Column(msgspec.Struct, frozen=True):
    """One column of a table: its head, the JSON key it shows, and whether only `-o wide` shows it."""

    head: str
    key: str
    wide: bool = False
    right: bool = False


class Output:
    """Prints in the form that was asked for.

    Args:
        form: "table", "wide", "json" or "yaml".
        color: whether tables and states may be coloured; nothing is told by colour alone.
        debug: whether failures show their traceback.
    """

    def __init__(self, *, form: str = "table", color: bool = False, debug: bool = False) -> None:
        self.form = form
        self.color = color
        self.debug = debug
        self._progress = False

    @classmethod
    def plain(cls) -> Output:
        """What speaks before the options are known."""
        return cls()

    @property
    def machine(self) -> bool:
        return self.form in ("json", "yaml")

    # data

    def listing(
        self, items: Sequence[Mapping[str, Any] | msgspec.Raw], columns: Sequence[Column], feeds: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """A list of one noun: `{"items": […], "feeds": […]}`, or a table."""
        if self.machine:
            self.document({"items": list(items), "feeds": list(feeds)})
            return
        shown = [column for column in columns if self.form == "wide" or not column.wide]
        rows = [[_cell(item.get(column.key), column.key) for column in shown] for item in items if isinstance(item, Mapping)]
        widths = [max([_width(column.head), *(_width(row[i]) for row in rows)]) for i, column in enumerate(shown)]
        self._line("  ".join(_pad(column.head, widths[i], right=column.right) for i, column in enumerate(shown)).rstrip())
        for row in rows:
            cells = [self._painted(_pad(cell, widths[i], right=shown[i].right), cell) for i, cell in enumerate(row)]
            self._out("  ".join(cells).rstrip())

    def packed(self, item: Mapping[str, Any], columns: Sequence[Column]) -> Mapping[str, Any] | msgspec.Raw:
        """An item as small as `listing` can take it: JSON already, or the cells that the table shows."""
        if self.form == "json":
            return msgspec.Raw(msgspec.json.encode(item))
        if self.form == "yaml":
            return item
        return {column.key: item.get(column.key) for column in columns if self.form == "wide" or not column.wide}

    def document(self, value: Any) -> None:
        """One JSON or YAML document."""
        if self.form == "yaml":
            import yaml

            plain = clean_values(msgspec.to_builtins(value))
            for line in yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=10_000).splitlines():
                self._line(line)
            return
        self._out(clean_json(msgspec.json.encode(value).decode()))

    def record(self, value: Mapping[str, Any]) -> None:
        """One JSON object on a line of its own (followers), flushed at once."""
        self._out(clean_json(msgspec.json.encode(value).decode()))
        sys.stdout.flush()

    def line(self, text: str = "") -> None:
        """One line of data for people, flushed at once."""
        self._line(text)
        sys.stdout.flush()

    # everything else

    def note(self, text: str) -> None:
        """A line of progress or advice."""
        self.end_progress()
        _write(sys.stderr, clean(text) + "\n")

    def warn(self, text: str) -> None:
        self.note(f"warning: {text}")

    def progress(self, text: str) -> None:
        """A line that the next one replaces; said only where a terminal shows it."""
        if not sys.stderr.isatty():
            return
        _write(sys.stderr, f"\r\x1b[K{clean(text, limit=200)}")
        self._progress = True

    def transfer(self, step: Progress) -> None:
        """One step of Git's work."""
        count = f" {step.done}/{step.total}" if step.total else f" {step.done}" if step.done else ""
        self.progress(f"{step.operation}: {step.phase}{count} {step.detail}".rstrip())

    def error(self, error: BackendError) -> None:
        """A failure: its sentence, its problems one by one, its hint."""
        self._trace(error)
        self.note(f"tiphys: {error}")
        if isinstance(error, Invalid):
            for problem in error.problems:
                self.note(f"  {problem}")
        if error.hint:
            self.note(f"  hint: {error.hint}")

    def fault(self, error: Exception) -> None:
        """Something that no error of ours foresaw: a defect, said in a sentence."""
        self._trace(error)
        self.note(f"tiphys: a defect of Tiphys itself: {type(error).__name__}: {clean(str(error), limit=300)}")
        self.note("  hint: nothing that was committed is undone; --debug shows where it happened")

    def unheard(self, error: BaseException | None, where: str) -> None:
        """A failure of work that nobody waits for any more: a defect, or what a stop left behind."""
        if error is None and not self.debug:
            return
        if isinstance(error, Exception):
            self._trace(error)
        self.note(f"tiphys: {where}: {type(error).__name__}: {clean(str(error), limit=300)}" if error else f"tiphys: {where}")

    def ask(self, question: str) -> str:
        """What the user types at a question on stderr. Raises `EOFError` without a terminal or at its end."""
        self.end_progress()
        if not sys.stdin.isatty():
            raise EOFError
        with _interruptible():
            _write(sys.stderr, clean(question))
            sys.stderr.flush()
            answer = sys.stdin.readline()
        if not answer:
            raise EOFError
        return answer.rstrip("\r\n")

    def _trace(self, error: Exception) -> None:
        if self.debug:
            import traceback

            for line in "".join(traceback.format_exception(error)).splitlines():
                self.note(line)

    def end_progress(self) -> None:
        """Take the line of progress away, for whatever else writes to the terminal."""
        if self._progress:
            _write(sys.stderr, "\r\x1b[K")
            self._progress = False

    def _painted(self, padded: str, cell: str) -> str:
        safe = clean(padded, limit=_LIMIT)
        code = _COLORS.get(cell.split(" ", 1)[0]) if self.color else None
        return f"\x1b[{code}m{safe}\x1b[0m" if code else safe

    def _line(self, text: str) -> None:
        self._out(clean(text, limit=_LIMIT))

    def _out(self, safe: str) -> None:
        self.end_progress()
        _write(sys.stdout, safe + "\n")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Signals end what blocks the main thread here: the loop's own handlers would be heard only after the answer."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _interrupted) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupted(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def age(then: datetime | None, *, now: datetime | None = None) -> str:
    """How long ago, in one unit: "12s", "4m", "3h", "9d"; "–" when it is not known."""
    if then is None:
        return "–"
    seconds = max(0, int(((now or datetime.now(UTC)) - then) / timedelta(seconds=1)))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size * (2 if unit == "m" else 1):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def clock(at: datetime) -> str:
    """The time of day here; of a moment that this zone cannot tell (the year 1, a server's "never") the one in UTC."""
    with contextlib.suppress(OverflowError, ValueError, OSError):
        at = at.astimezone()
    return f"{at:%H:%M:%S}"


def _cell(value: Any, key: str) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return age(value)
    if isinstance(value, Mapping):
        return ",".join(f"{k}={v}" for k, v in value.items()) or "–"
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(str(v) for v in value) or "–"
    text = clean(str(value))
    return text[:12] if key in ("commit", "revision") and len(text) == 40 else text


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _pad(text: str, width: int, *, right: bool) -> str:
    space = " " * max(0, width - _width(text))
    return space + text if right else text + space


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:  # LANG=C: the glyphs become question marks, the words stay
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))


def joined(values: Iterable[str], limit: int = 3) -> str:
    """The first few of many: "web, api, db and 4 more"."""
    every = list(values)
    head = ", ".join(every[:limit])
    return head if len(every) <= limit else f"{head} and {len(every) - limit} more"
