"""The git program: started with a scrubbed environment and safe settings, never asking on a terminal, its failures named.

Plain child processes rather than GitPython: its `execute` adds to `os.environ` and can drop nothing from it, importing it costs 120 ms and
11 MB of a command that has 250 ms, and what it gives beyond a child process is one regular expression for progress.
Which commands are run, and when, is the business of `repo`, `objects` and `log`.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backends.engine import Cancel
from backends.errors import Cancelled
from backends.gitops import process
from backends.gitops.remote_errors import explain, timed_out
from backends.gitops.trouble import GitRefused, Trouble
from backends.secret import Unshown

OLDEST = (2, 30)
"""The oldest git that has what we use (Debian 11)."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_KEPT = {
    # where things are, and who runs it
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "SSH_AUTH_SOCK", "GNUPGHOME", "KRB5CCNAME"),
    # who commits: the words that git itself takes
    *("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"),
    # how the network is reached
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_PROXY_SSL_CAINFO"),
    *_PROXIES,
    *(name.upper() for name in _PROXIES),
}
_KEPT_PREFIXES = ("GIT_CONFIG_", "XDG_")
_SETTINGS = (
    "core.hooksPath=/dev/null",  # no hook of a template or a shared configuration runs
    "core.fsmonitor=false",
    "core.fsync=none",  # what is in the cache can be fetched again, and a disk takes 1 to 20 ms for each object (git ≥ 2.36)
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",  # `repo` decides when to tidy
    "maintenance.auto=false",
    "color.ui=false",
    "log.showSignature=false",
    "log.follow=false",
    "log.showRoot=true",  # the first commit changed files, too
    "i18n.logOutputEncoding=UTF-8",
    "i18n.commitEncoding=UTF-8",
    "http.followRedirects=initial",  # git's default, but a configuration may say `true`
)


def environment(base: Mapping[str, str] | None = None, *, protocols: str = "") -> dict[str, str]:
    """What git and its children may know of ours: where the user's configuration and agent are, nothing else.

    `protocols` is `GIT_ALLOW_PROTOCOL`: "https:http:ssh", or "file" for a repository on this host; "" allows none.
    """
    base = os.environ if base is None else base
    kept = {name: value for name, value in base.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    return kept | {
        "LC_ALL": "C",  # complaints in English: remote_errors reads them
        "GIT_ALLOW_PROTOCOL": protocols or "none",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",  # a remote operation puts our own there; nothing else has anything to ask
        "SSH_ASKPASS": "false",
        "SSH_ASKPASS_REQUIRE": "force",  # OpenSSH ≥ 8.4; before that it takes DISPLAY and no terminal
        "DISPLAY": base.get("DISPLAY") or ":none",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
    }


class Git:
    """git, for one bare repository (None: outside of any)."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def command(self, *arguments: str, settings: Sequence[str] = ()) -> list[str]:
        """The whole argv: program, safe settings, repository, arguments."""
        options = [option for setting in (*_SETTINGS, *settings) for option in ("-c", setting)]
        return [program(), *options, *([f"--git-dir={self.folder}"] if self.folder else []), *arguments]

    def try_run(
        self,
        *arguments: str,
        data: bytes = b"",
        operation: str = "",
        target: str = "",
        settings: Sequence[str] = (),
        extra: Mapping[str, str] | None = None,
        protocols: str = "",
        timeout: float | None = None,
        stall: float | None = None,
        cancel: Cancel | None = None,
        on_line: Callable[[str], None] | None = None,
        busy: Callable[[], bool] | None = None,
    ) -> process.Finished:
        """Run git and give back how it ended, whatever its exit code.

        `extra` goes on top of the scrubbed environment; the rest is `process.run`'s.
        Raises `Cancelled`, `GitTimedOut`, `GitRefused` (no git, or one too old).
        """
        command = self.command(*arguments, settings=settings)
        try:
            done = process.run(
                command,
                Unshown(environment(protocols=protocols) | dict(extra or {})),  # a proxy's URL may hold a password
                data=data,
                timeout=timeout,
                stall=stall,
                cancel=cancel,
                on_line=on_line,
                busy=busy,
            )
        except FileNotFoundError:
            raise _missing() from None
        operation, target = operation or f"git {arguments[0]}", target or str(self.folder or "")
        if done.stopped == "cancelled":
            raise Cancelled("stopped", operation=operation, target=target)
        if done.stopped:
            stalled = done.stopped == "stalled"
            raise timed_out(operation, target, (stall if stalled else timeout) or 0, stalled=stalled)
        return done

    def run(
        self,
        *arguments: str,
        data: bytes = b"",
        operation: str = "",
        settings: Sequence[str] = (),
        extra: Mapping[str, str] | None = None,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> bytes:
        """Run a local git command and give its stdout. Raises the `GitError` that its stderr stands for."""
        done = self.try_run(*arguments, data=data, operation=operation, settings=settings, extra=extra, timeout=timeout, cancel=cancel)
        if done.code:
            raise explain(operation or f"git {arguments[0]}", str(self.folder or ""), done.err)
        return done.out


def program() -> str:
    """The git program on the PATH, looked at once a path. Raises `GitRefused` when there is none or it is too old."""
    return _checked(os.environ.get("PATH", os.defpath))


@functools.lru_cache(maxsize=8)
def _checked(path: str) -> str:
    found = shutil.which("git", path=path)
    if found is None:
        raise _missing()
    said = process.run([found, "version"], environment(), timeout=20).out.decode("utf-8", "replace")
    numbers = re.search(r"(\d+)\.(\d+)", said)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
        version = numbers[0] if numbers else "of an unknown version"
        raise GitRefused(
            f"git {version} is too old",
            kind=Trouble.GIT_TOO_OLD,
            target=found,
            hint=f"Tiphys needs git {OLDEST[0]}.{OLDEST[1]} or later",
        )
    return found


def _missing() -> GitRefused:
    return GitRefused("there is no git program on the PATH", kind=Trouble.GIT_MISSING, hint="install git 2.30 or later")
