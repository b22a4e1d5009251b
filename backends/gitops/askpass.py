"""Answers what git and ssh ask while one remote operation runs: user, password, passphrase, and whether a host key is right.

Answers travel over a Unix socket in a private folder (0700) that exists only as long as the operation, to a shim that git starts
(`askpass_shim`). Credentials are given to the origin they are bound to and to no other: a redirect, a rewritten URL or a jump host
that asks gets nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from backends.errors import Refused
from backends.gitops.address import Address, Credentials
from backends.paths import private_dir
from backends.secret import Secret
from backends.text import clean

_FINGERPRINT = re.compile(r"(?P<kind>[A-Z0-9-]+) key fingerprint is (?P<print>(?:SHA256|MD5):[A-Za-z0-9+/=:]+)")
_AUTHENTICITY = re.compile(r"authenticity of host '(?P<host>[^'\s(]+)")
_SSH_PASSWORD = re.compile(r"(?:\()?(?P<user>[^@\s()]+)@(?P<host>[^\s()']+?)(?:'s password|\) Password)", re.IGNORECASE)
_PASSPHRASE = re.compile(r"passphrase for (?:key )?'?(?P<key>[^':]+)", re.IGNORECASE)
_HTTP = re.compile(r"(?P<what>Username|Password) for '(?P<url>[^']+)'")


class Question(msgspec.Struct, frozen=True):
    """What git or ssh wants to know, cleaned."""

    kind: str
    """"username", "password", "passphrase", "host key", or "other"."""
    origin: tuple[str, str, int] | None = None
    """Scheme, host and port that ask; port 0 where ssh does not say. None: nobody in particular (a key file's passphrase)."""
    text: str = ""
    fingerprint: str = ""
    key_type: str = ""


Ask = Callable[[Question], "Secret | None"]
"""Asks a person; None is "no answer". Called from a thread of ours; the operation waits, and no clock runs meanwhile."""
AskHostKey = Callable[[str, str], bool]
"""`ask_host_key(host, fingerprint)`: whether this is the host. Called as `Ask` is."""


def parse_question(prompt: str) -> Question:
    """Which question a prompt of git (`Password for 'https://…': `) or OpenSSH (9.2 and before) is."""
    text = clean(prompt.strip(), limit=1_000)
    if found := _HTTP.search(prompt):
        with contextlib.suppress(ValueError):
            parts = urlsplit(found["url"])
            port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
            return Question(found["what"].lower(), (parts.scheme, (parts.hostname or "").lower(), port), text)
    if found := _AUTHENTICITY.search(prompt):
        key = _FINGERPRINT.search(prompt)
        return Question("host key", _ssh_origin(found["host"]), text, key["print"] if key else "", key["kind"] if key else "")
    if found := _PASSPHRASE.search(prompt):
        return Question("passphrase", None, text)
    if found := _SSH_PASSWORD.search(prompt):
        return Question("password", _ssh_origin(found["host"]), text)
    return Question("other", None, text)


def _ssh_origin(host: str) -> tuple[str, str, int]:
    bracketed = re.match(r"\[(?P<host>[^\]]+)\]:(?P<port>\d+)", host)
    return ("ssh", bracketed["host"].lower(), int(bracketed["port"])) if bracketed else ("ssh", host.lower(), 0)


def host_name(origin: tuple[str, str, int]) -> str:
    """A host as known_hosts writes it: `host`, or `[host]:port` where the port is not 22."""
    _, host, port = origin
    return host if port in (0, 22) else f"[{host}]:{port}"


class Answers:
    """What we answer for one repository, and what was asked."""

    def __init__(self, address: Address, credentials: Credentials | Ask | None, ask_host_key: AskHostKey | None) -> None:
        self._address, self._credentials, self._ask_host_key = address, credentials, ask_host_key
        self.unanswered: list[Question] = []
        """Questions that got no answer, oldest first: they say why an operation failed."""
        self.given: list[Secret] = []
        """What was answered: must not come back in any text."""
        self.asking = 0
        """How many people are being asked right now."""

    def answer(self, question: Question) -> Secret | None:
        """The answer, or None: no."""
        given = self._answer(question)
        if given is None:
            self.unanswered.append(question)
        elif question.kind in ("password", "passphrase", "other"):
            self.given.append(given)
        return given

    def _answer(self, question: Question) -> Secret | None:
        scheme, host, _ = self._address.origin
        ours = question.origin in (self._address.origin, (scheme, host, 0))
        if question.kind == "host key":
            if not (question.fingerprint and question.origin and self._ask_host_key):
                return None
            with self._person():
                right = self._ask_host_key(host_name(question.origin), question.fingerprint)
            # OpenSSH ≥ 8.0 takes the fingerprint itself for a yes, so what is accepted is what was shown
            yes = question.fingerprint if "/[fingerprint]" in question.text else "yes"
            return Secret(yes) if right else None
        if callable(self._credentials):
            if not ours and question.origin is not None:
                return None
            with self._person():
                return self._credentials(question)
        if self._credentials is None or not ours:
            return None
        return {"username": Secret(self._credentials.username), "password": self._credentials.password}.get(question.kind)

    @contextlib.contextmanager
    def _person(self) -> Iterator[None]:
        self.asking += 1
        try:
            yield
        finally:
            self.asking -= 1


@contextlib.contextmanager
def serving(answers: Answers, folder: Path) -> Iterator[dict[str, str]]:
    """Answer while inside; gives the environment variables that name the shim.

    Args:
        folder: where private folders may be made (the cache folder; not /tmp, which may be mounted noexec).

    Raises `Refused` when no socket can be made there.
    """
    _sweep(folder)
    home = Path(tempfile.mkdtemp(prefix=f"askpass-{os.getpid()}-", dir=private_dir(folder)))
    try:
        shim = _write_shim(home)
        listener = _listen(home)
        thread = threading.Thread(target=_serve, args=(listener, answers), name="tiphys-askpass", daemon=True)
        thread.start()
        try:
            yield {"GIT_ASKPASS": shim, "SSH_ASKPASS": shim}
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _write_shim(home: Path) -> str:
    code = home / "shim.py"
    code.write_bytes(resources.files("backends.gitops").joinpath("askpass_shim.py").read_bytes())
    code.chmod(0o600)
    shim = home / "askpass"
    # a shell in between, since the interpreter's path may be too long for a `#!` line or hold blanks
    python = sys.executable or "python3"
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(python)} -I -S {shlex.quote(str(code))} "$@"\n')
    shim.chmod(0o700)
    return str(shim)


def _listen(home: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    here = os.open(home, os.O_RDONLY)
    path = home / "socket"
    try:
        # a socket's address holds about 100 bytes; Linux offers a short way to any folder
        short = len(os.fsencode(path)) < 100 or not Path(f"/proc/self/fd/{here}").exists()
        listener.bind(str(path) if short else f"/proc/self/fd/{here}/socket")
        path.chmod(0o600)
        listener.listen(4)
    except OSError as error:
        listener.close()
        hint = "choose a cache folder with a shorter path (XDG_CACHE_HOME)"
        raise Refused(f"no socket can be made in {clean(str(home))}: {error.strerror or error}", operation="askpass", hint=hint) from None
    finally:
        os.close(here)
    return listener


def _serve(listener: socket.socket, answers: Answers) -> None:
    while True:
        try:
            asker, _ = listener.accept()
        except OSError:
            return  # closed: the operation is over
        with asker:
            asker.settimeout(10)
            with contextlib.suppress(OSError):
                if _same_user(asker):
                    prompt = b""
                    while chunk := asker.recv(4096):
                        prompt += chunk
                    given = answers.answer(parse_question(prompt.decode("utf-8", "replace")))
                    asker.sendall(b"-" if given is None else b"+" + given.reveal().encode("utf-8", "surrogateescape"))


def _same_user(asker: socket.socket) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the folder's mode guards the socket; macOS has no such option
    _, user, _ = struct.unpack("3i", asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return bool(user == os.getuid())


def _sweep(folder: Path) -> None:
    """Remove what processes that are no more have left (they were killed)."""
    for left in folder.glob("askpass-*-*"):
        number = left.name.split("-")[1]
        if number.isdigit() and not _lives(int(number)):
            shutil.rmtree(left, ignore_errors=True)


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
