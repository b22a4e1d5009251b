"""Operations that speak to the remote: fetch, push, ls-remote, with our answers to what is asked and an error for each failure.

One `Remote` is one address with its credentials. Where the objects go, and when to try again, is the business of `repo` and `writer`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from backends.engine import Cancel
from backends.gitops.address import Address, Credentials
from backends.gitops.askpass import Answers, Ask, AskHostKey, Question, host_name, serving
from backends.gitops.git import Git
from backends.gitops.progress import OnProgress, parse_progress
from backends.gitops.remote_errors import explain
from backends.gitops.trouble import GitError, GitRefused, GitUnauthorized, Trouble
from backends.secret import Secret, basic, masked

STALL_SECONDS = 60.0
"""Silence on both of git's streams after which a transfer is given up."""
_DRIP_BYTES = 100
"""Bytes a second that are no transfer any more."""
_CONNECT_SECONDS = 20
_NETWORK = "https:http:ssh"


class Remote:
    """One remote repository, and who we are to it."""

    def __init__(
        self,
        git: Git,
        address: Address,
        *,
        scratch: Path,
        credentials: Credentials | Ask | None,
        ask_host_key: AskHostKey | None,
        stall: float = STALL_SECONDS,
    ) -> None:
        self._git, self.address, self._scratch = git, address, scratch
        self._credentials, self._ask_host_key, self._stall = credentials, ask_host_key, stall
        self._ssh: str | None = None

    def run(
        self,
        operation: str,
        *arguments: str,
        timeout: float | None = None,
        progress: OnProgress | None = None,
        cancel: Cancel | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> tuple[str, str]:
        """Run git against the remote; gives stdout and stderr.

        Raises the `GitError` of what it says, `Cancelled`, `GitTimedOut` (after `timeout` seconds, or silence).
        """
        answers = Answers(self.address, self._credentials, self._ask_host_key)

        def on_line(line: str) -> None:
            step = parse_progress(operation, masked(line, self._sent(answers)))
            if step is not None and progress is not None:
                progress(step)

        def go(shim: Mapping[str, str]) -> tuple[int, bytes, bytes]:
            done = self._git.try_run(
                *arguments,
                operation=operation,
                target=self.address.url,
                settings=self._settings(operation),
                extra={**shim, **(extra or {})},
                protocols="file" if self.address.scheme == "file" else _NETWORK,
                timeout=timeout,
                stall=self._stall,
                cancel=cancel,
                on_line=on_line if progress is not None else None,
                busy=lambda: answers.asking > 0,
            )
            return done.code, done.out, done.err

        if self.address.scheme == "file":
            code, out, err = go({})
        else:
            with serving(answers, self._scratch) as shim:
                code, out, err = go(shim | self._ssh_command())
        if code:
            error = self._explain(operation, err + b"\n" + out, answers.unanswered)
            error.mask(self._sent(answers))
            raise error
        return out.decode("utf-8", "replace"), err.decode("utf-8", "replace")

    def branches(self, *, timeout: float | None = None, cancel: Cancel | None = None) -> tuple[str, ...]:
        """The branches of the remote, sorted; () when it is empty.

        Raises `GitError`; among them that what answers is no Git server: git takes a web page without a line end for an empty repository.
        """
        out, err = self.run(
            "fetch", "ls-remote", "--heads", "--", self.address.url, timeout=timeout, cancel=cancel, extra={"GIT_TRACE_PACKET": "2"}
        )
        found = tuple(sorted(row.partition("\trefs/heads/")[2] for row in out.splitlines() if "\trefs/heads/" in row))
        if not found and "packet:" not in err:
            raise explain("fetch", self.address.url, "fatal: not valid: is this a git repository?")
        return found

    def answering(self) -> Answers:
        """Answers for something of the user's own that may ask (a signing key's passphrase)."""
        return Answers(self.address, self._credentials if callable(self._credentials) else None, None)

    def _sent(self, answers: Answers) -> list[Secret]:
        """What the other side was told and may say again, as a proxy does that quotes a request."""
        known = self._credentials
        users = (known.username,) if isinstance(known, Credentials) else (self.address.user, "git")
        secrets = [*answers.given, *([known.password] if isinstance(known, Credentials) else [])]
        return [*secrets, *(basic(user, secret) for secret in secrets for user in users)]

    def _settings(self, operation: str) -> Sequence[str]:
        if self.address.scheme not in ("https", "http"):
            return ()
        # what drips is given up; a server whose hooks run says 5 bytes each 5 s, and how long it may is the caller's deadline
        limit = 1 if operation == "push" else _DRIP_BYTES
        slow = [f"http.lowSpeedLimit={limit}", f"http.lowSpeedTime={max(1, round(self._stall))}"]
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        user = self._credentials.username if isinstance(self._credentials, Credentials) else self.address.user
        name = [f"credential.{self.address.scheme}://{host}:{self.address.port}.username={user}"] if user else []
        # with credentials of our own no helper is asked, nor told: `store` would write them to a file
        helper = ["credential.helper="] if isinstance(self._credentials, Credentials) else []
        return [*slow, *name, *helper]

    def _ssh_command(self) -> dict[str, str]:
        if self.address.scheme != "ssh":
            return {}
        if self._ssh is None:
            self._ssh = self._git.try_run("config", "--get", "core.sshCommand").out.decode("utf-8", "replace").strip()
        if self._ssh:
            return {}  # the user's own command, which git reads itself
        options = ("-x", f"-oConnectTimeout={_CONNECT_SECONDS}", "-oServerAliveInterval=15", "-oServerAliveCountMax=2")
        return {"GIT_SSH_COMMAND": shlex.join(["ssh", *options]), "GIT_SSH_VARIANT": "ssh"}

    def _explain(self, operation: str, text: bytes, unanswered: Sequence[Question]) -> GitError:
        error = explain(operation, self.address.url, text)
        asked = next((question for question in unanswered if question.kind == "host key"), None)
        if error.kind is Trouble.HOST_KEY_UNKNOWN or (asked and error.kind is Trouble.CUT_OFF):
            origin = asked.origin if asked and asked.origin else self.address.origin
            _, host, port = origin
            at = ["-p", str(port)] if port not in (0, 22) else []
            login = shlex.join(["ssh", *at, f"{self.address.user}@{host}" if self.address.user else host])
            scan = shlex.join(["ssh-keyscan", *at, host])
            shown = f": {asked.key_type} {asked.fingerprint}" if asked and asked.fingerprint else ""
            return GitRefused(
                f"the SSH key of {host_name(origin)} is not known here{shown}",
                kind=Trouble.HOST_KEY_UNKNOWN,
                operation=operation,
                target=self.address.url,
                hint=f"compare it with what the host's administrators publish, then `{login}` and answer yes; "
                f"where nobody can answer: `{scan} >> ~/.ssh/known_hosts`",
            )
        if error.kind in (Trouble.UNAUTHORIZED, Trouble.CUT_OFF) and unanswered and unanswered[-1].kind in ("password", "passphrase"):
            return GitUnauthorized(
                f"nobody answered: {unanswered[-1].text}",
                kind=Trouble.NO_CREDENTIALS,
                operation=operation,
                target=self.address.url,
                hint="load the key into an agent (`ssh-add`)" if self.address.scheme == "ssh" else error.hint,
            )
        return error
