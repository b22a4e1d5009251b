"""Who commits, and how it is signed: what the user's Git configuration says, shown before anything is committed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import msgspec

from backends.domain.ids import Sha
from backends.gitops.git import Git
from backends.gitops.trouble import GitFailed, GitRefused, Trouble
from backends.text import clean, clean_lines

SIGNING_SECONDS = 60.0
"""What a signing program may take: it may be asking a person by a window of its own."""


class Identity(msgspec.Struct, frozen=True):
    """An author who is also the committer."""

    name: str
    email: str
    signing: str = ""
    """"openpgp", "ssh" or "x509"; "" when commits are not signed."""
    key: str = ""
    """`user.signingKey`; "" lets the signing program choose."""

    def __str__(self) -> str:
        signed = f", signed ({self.signing})" if self.signing else ""
        return clean(f"{self.name} <{self.email}>{signed}")


def read_identity(git: Git) -> Identity:
    """The identity by the rules of git: environment, `author.*`, `user.*`; never guessed from the host's name.

    `includeIf "gitdir:…"` does not match a clone in a cache folder, `hasconfig:remote.*.url` (git ≥ 2.36) does.
    Raises `GitRefused` with the commands that mend it when there is none.
    """
    done = git.try_run("config", "--null", "--get-regexp", r"^(user|author|commit|gpg)\.")
    settings: dict[str, str] = {}
    for row in done.out.decode("utf-8", "replace").split("\0"):
        key, _, value = row.partition("\n")
        settings[key] = value if "\n" in row else "true"
    name = os.environ.get("GIT_AUTHOR_NAME") or settings.get("author.name") or settings.get("user.name") or ""
    email = (
        os.environ.get("GIT_AUTHOR_EMAIL") or settings.get("author.email") or settings.get("user.email") or os.environ.get("EMAIL") or ""
    )
    if not name.strip() or not email.strip():
        what = "name" if not name.strip() else "e-mail address"
        raise GitRefused(
            f"Git does not know your {what}, and commits carry it",
            kind=Trouble.NO_IDENTITY,
            hint="git config --global user.name 'Your Name' && git config --global user.email you@example.org",
        )
    signing = settings.get("gpg.format", "openpgp").lower() if settings.get("commit.gpgsign", "").lower() in _TRUE else ""
    return Identity(name.strip(), email.strip(), signing, settings.get("user.signingkey", "") if signing else "")


def commit_tree(git: Git, who: Identity, tree: str, message: str, parents: Sequence[Sha], shim: Mapping[str, str] | None = None) -> Sha:
    """Store a commit of a tree object, signed where the identity says so (`commit-tree` does not look at `commit.gpgSign` itself).

    `shim`: environment that answers for the signing program, which has no terminal to ask on.
    Raises `GitFailed`; its kind is `SIGNING_FAILED` when the signing program would not.
    """
    people = ("AUTHOR", "COMMITTER")
    extra = {f"GIT_{role}_{what}": value for role in people for what, value in (("NAME", who.name), ("EMAIL", who.email))}
    arguments = ["commit-tree", *(part for parent in parents for part in ("-p", parent))]
    if not who.signing:
        return Sha(git.run(*arguments, tree, data=message.encode(), extra=extra, operation="commit").decode().strip())
    done = git.try_run(
        *arguments,
        f"-S{who.key}",
        tree,
        data=message.encode(),
        extra={**extra, **(shim or {})},
        settings=(f"gpg.format={who.signing}",),
        timeout=SIGNING_SECONDS,
    )
    if done.code:
        said = [line for line in clean_lines(done.err, limit=300) if line.strip() and "failed to write commit" not in line]
        raise GitFailed(
            f"the commit could not be signed: {' / '.join(said[-3:]) or 'the signing program said nothing'}",
            kind=Trouble.SIGNING_FAILED,
            operation="commit",
            hint="unlock the key in its agent (gpg wants GPG_TTY and a running gpg-agent), or `git config commit.gpgSign false`",
        )
    return Sha(done.out.decode().strip())


_TRUE = frozenset(("true", "yes", "on", "1"))
