"""From the global options to what a command works with: a workspace's repository, its Argo CD, and whether writes are refused."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from backends import paths
from backends.errors import BackendError, Invalid, Refused
from backends.secret import Secret
from backends.text import clean
from tui import config
from tui.cli.output import Output, joined

if TYPE_CHECKING:
    from backends.argocd.endpoint import Endpoint
    from backends.argocd.protocol import ArgoCD
    from backends.gitops.address import Credentials
    from backends.gitops.askpass import Ask, Question
    from backends.gitops.repo import Repo
    from backends.gitops.tree import Tree
    from backends.workspace import Workspace

_CONNECTION = tuple(config.Connection.__struct_fields__)


class Chosen(msgspec.Struct, frozen=True):
    """Which workspace a command is about, before anything of it was contacted. `name` is "" for one that is not remembered."""

    name: str
    known: config.KnownWorkspace


def chosen(arguments: argparse.Namespace) -> Chosen:
    """The workspace that the options name: `--repo` and `--argocd` alone, else a remembered one with the options given on top.

    Raises `NotFound` for an unknown name, `Invalid` for a file that does not fit.
    """
    given = {name: value for name in _CONNECTION if (value := getattr(arguments, name))}
    if (arguments.repo or arguments.argocd or arguments.argocd_context) and not arguments.workspace:
        return Chosen("", _with(config.KnownWorkspace(), arguments, given))
    everything = config.known()
    name = arguments.workspace or everything.last
    known = everything.named(name) if name else config.KnownWorkspace()
    return Chosen(name, _with(known, arguments, given))


def _with(known: config.KnownWorkspace, arguments: argparse.Namespace, given: dict[str, object]) -> config.KnownWorkspace:
    kept = config.without_secrets(known, repo=arguments.repo or known.repo, argocd=arguments.argocd or known.argocd)
    return msgspec.structs.replace(
        known,
        repo=arguments.repo or known.repo,
        argocd=arguments.argocd or known.argocd,
        branch=arguments.branch or known.branch,
        connection=msgspec.structs.replace(kept.connection, **given),
    )


@contextlib.asynccontextmanager
async def opened(arguments: argparse.Namespace, output: Output, *, argocd: bool = False, repo: bool = False) -> AsyncIterator[Workspace]:
    """The workspace of a command, closed afterwards.

    Args:
        argocd, repo: what the command cannot do without; a missing one is refused, naming the option.

    Nothing is contacted yet. Raises what `chosen` raises, `Invalid` and `Refused` for addresses and token files, `Refused` for what misses.
    """
    from backends.workspace import Workspace

    one = chosen(arguments)
    if repo and not one.known.repo:
        raise Refused("this needs the workspace repository", hint=await _which_repository(arguments, one.known, output))
    server = connect(arguments, one.known, output) if _names_argocd(one.known, required=argocd) else None
    clone = clone_of(one.known, output, read_only=readonly(arguments)) if one.known.repo else None
    workspace = Workspace(
        name=one.name,
        repo=clone,
        argocd=server,
        readonly=readonly(arguments),
        cache_dir=paths.cache_dir(),
        state_dir=paths.state_dir(),
    )
    try:
        yield workspace
    finally:
        await workspace.close()


async def _which_repository(arguments: argparse.Namespace, known: config.KnownWorkspace, output: Output) -> str:
    """Which repository is meant, where this Argo CD already reads one as a workspace's."""
    general = "--repo URL, or tiphys open REPO_URL --argocd URL"
    if not _names_argocd(known, required=False):
        return general
    from backends.text import clean

    server = connect(arguments, known, output)
    try:
        roots = await server.list_applications(selector="tiphys.dev/role=root", full=True)
    except BackendError:  # the sentence stands without it, and says nothing of Argo CD
        return general
    finally:
        await server.close()
    found = sorted({clean(str((one.spec.get("source") or {}).get("repoURL", ""))) for one in roots} - {""})
    if len(found) == 1:
        return f"this Argo CD reads {found[0]}: tiphys open {found[0]} --argocd {server.url}"
    return f"this Argo CD reads {joined(found)}: tiphys open one of them --argocd {server.url}" if found else general


async def fetched(workspace: Workspace, output: Output) -> Tree:
    """The tree of the repository's head, brought here first. Raises `GitError`, `BranchMissing` (empty, or no such branch)."""
    tree = await workspace.fetch(progress=output.transfer)
    workspace.repo.require_head()
    for notice in workspace.repo.notices:
        output.warn(notice.text)
    found = workspace.repo.fetched
    if found is not None and found.rewritten:
        output.warn(f"somebody pushed by force: {workspace.repo.branch} no longer holds {(found.before or '')[:10]}, which was its head")
    return tree


def readonly(arguments: argparse.Namespace) -> bool:
    """Whether writes are refused: by `--readonly` or by config.toml."""
    return bool(arguments.readonly) or config.settings().readonly


def connect(arguments: argparse.Namespace, known: config.KnownWorkspace, output: Output) -> ArgoCD:
    """A client of the Argo CD that is named; nothing is contacted yet. Raises what `endpoint` raises."""
    from backends.argocd.http import connect as client

    return client(endpoint(arguments, known, output))


def endpoint(arguments: argparse.Namespace, known: config.KnownWorkspace, output: Output) -> Endpoint:
    """The Argo CD that is named and who we are there. Raises `Invalid`, `Refused`, `NotFound`, `Unauthorized`."""
    from backends.argocd.options import Options, resolve

    connection = msgspec.structs.asdict(known.connection)
    connection.pop("git_token_file")
    options = Options(url=known.argocd, headers=tuple(arguments.header), readonly=readonly(arguments), **connection)
    return resolve(options, ask_password=lambda user: _password(output, user))


def clone_of(known: config.KnownWorkspace, output: Output, *, read_only: bool) -> Repo:
    """Our clone of the workspace repository; nothing is fetched yet. Raises `Invalid` for a URL that is code."""
    from backends.gitops.repo import Repo

    return Repo.open(
        known.repo,
        branch=known.branch,
        cache_dir=paths.cache_dir(),
        credentials=_git_credentials(known, output),
        ask_host_key=lambda host, fingerprint: _trusts(output, host, fingerprint),
        readonly=read_only,
    )


def _names_argocd(known: config.KnownWorkspace, *, required: bool) -> bool:
    if known.argocd or known.connection.argocd_context or os.environ.get("ARGOCD_SERVER"):
        return True
    if not required:
        return False
    from backends.argocd.options import contexts

    if contexts().current:
        return True
    raise Invalid("no Argo CD was named", hint="--argocd URL, or tiphys open --argocd URL once")


def _git_credentials(known: config.KnownWorkspace, output: Output) -> Credentials | Ask | None:
    """A token of a file, else a person where there is a terminal; git's own credential helpers are asked before either."""
    import sys

    if known.connection.git_token_file:
        from pathlib import Path

        from backends.argocd.auth import read_private
        from backends.gitops.address import Credentials

        text = read_private(Path(known.connection.git_token_file).expanduser(), "Git token").strip()
        user, colon, password = text.partition(":")
        return Credentials(Secret(password), user) if colon else Credentials(Secret(text))
    return (lambda question: _answer(output, question)) if sys.stdin.isatty() else None


def _answer(output: Output, question: Question) -> Secret | None:
    if question.kind in ("username", "other"):
        try:
            return Secret(output.ask(f"{question.text} "))
        except EOFError:
            return None
    return _typed_unseen(output, question.text)


def _password(output: Output, user: str) -> Secret:
    import sys

    if not sys.stdin.isatty():
        raise Refused(f"the password of {user} is needed and there is no terminal to ask", hint="--password-file FILE")
    return _typed_unseen(output, f"password of {user}:")


def _typed_unseen(output: Output, question: str) -> Secret:
    """Asked once the terminal shows nothing any more: what is typed before that would be seen, and thrown away."""
    import getpass

    output.end_progress()
    return Secret(getpass.getpass(f"{clean(question)} "))


def _trusts(output: Output, host: str, fingerprint: str) -> bool:
    try:
        answer = output.ask(f"{host} is not known yet. Its key is {fingerprint}. Trust it? (yes/no) ")
    except EOFError:
        return False
    return answer.strip() == "yes"


def host_of(url: str) -> str:
    """The host of a URL, for a name to remember it by."""
    return urlsplit(url if "://" in url else f"//{url}").hostname or url
