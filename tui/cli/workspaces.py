"""`open`, `init`, `bootstrap` and `forget`: where a workspace begins."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import msgspec

from backends.bootstrap import Bootstrapped, NotAllowed
from backends.bootstrap import bootstrap as put_root
from backends.domain.ids import mint_change_id
from backends.errors import BackendError, Refused
from backends.gitops import files
from backends.gitops.intents import Init
from backends.text import clean
from tui import config
from tui.cli.output import Output
from tui.cli.session import Chosen, chosen, fetched, host_of, opened

if TYPE_CHECKING:
    from backends.workspace import Workspace


async def open_(arguments: argparse.Namespace, output: Output) -> int:
    """Check what was named, say what is there, remember it."""
    if not arguments.repo_url and not arguments.argocd and not arguments.argocd_context:
        raise Refused("nothing to open was named", hint="tiphys open REPO_URL --argocd URL; either may be absent")
    arguments.repo = arguments.repo_url or arguments.repo
    async with opened(arguments, output) as workspace:
        found: dict[str, object] = {"name": None, "repo": None, "argocd": None}
        identity = ""
        if workspace.has_repo:
            tree = await fetched(workspace, output)
            described = files.workspace(tree)
            identity = described.id
            catalog = await workspace.catalog()
            found["repo"] = {
                "url": workspace.repo.url,
                "branch": workspace.repo.branch,
                "id": described.id,
                "slug": described.slug,
                "argocdHint": described.argocd.url or None,
                "environments": len(catalog.environments),
                "apps": len(catalog.apps),
                "deployments": len(catalog.deployments),
                "problems": len(catalog.problems),
            }
            for problem in catalog.problems:
                output.warn(str(problem))
        if workspace.has_server:
            found["argocd"] = await _server_facts(workspace, output)
        slug = str(found["repo"]["slug"]) if isinstance(found["repo"], dict) else ""
        name = arguments.name or slug or host_of(arguments.argocd or workspace.server.url)
        found["name"] = name
        _remember(name, chosen(arguments), identity, workspace, output)
    _said(output, found)
    return 0


async def init(arguments: argparse.Namespace, output: Output) -> int:
    """Write the first commit, remember the workspace; with an Argo CD, bootstrap it."""
    from tui.cli.write import planned_and_run

    arguments.repo = arguments.repo_url
    async with opened(arguments, output, repo=True) as workspace:
        if workspace.readonly:
            raise Refused("read-only: no workspace is made")
        one = chosen(arguments)
        await workspace.fetch(progress=output.transfer)
        intent = Init(
            slug=arguments.slug,
            id=mint_change_id(),
            repo_url=arguments.argocd_repo_url or workspace.repo.url,
            branch=workspace.repo.branch,
            argocd_url=one.known.argocd,
        )
        # the first commit of an empty repository takes nothing from anybody: `init` asks nothing
        code = await planned_and_run(workspace, intent, arguments, output, ask=False)
        if arguments.plan:
            return code
        _remember(arguments.slug, one, files.workspace(workspace.tree()).id, workspace, output)
        if workspace.has_server:
            try:
                await _bootstrapped(workspace, output)
            except NotAllowed:  # it says itself who may do it
                raise
            except BackendError:
                output.note(f"{arguments.slug} is written and remembered, but not in Argo CD yet: tiphys bootstrap puts it there")
                raise
        return code


async def bootstrap(arguments: argparse.Namespace, output: Output) -> int:
    """Put the root of a workspace into Argo CD."""
    async with opened(arguments, output, repo=True, argocd=True) as workspace:
        if workspace.readonly:
            raise Refused("read-only: nothing is put into Argo CD")
        await fetched(workspace, output)
        done = await _bootstrapped(workspace, output)
        if output.machine:
            output.document(
                {"namespace": done.root.namespace, "name": done.root.name, "sync": done.sync or None, "health": done.health or None}
            )
        return 0


async def forget(arguments: argparse.Namespace, output: Output) -> int:
    """Forget a remembered workspace."""
    config.forget(arguments.name)
    output.note(f"{clean(arguments.name)} is forgotten; its repository and its Argo CD are as they were")
    return 0


async def _bootstrapped(workspace: Workspace, output: Output) -> Bootstrapped:
    try:
        done = await put_root(workspace.server, workspace.tree())
    except NotAllowed as error:
        sys.stdout.write(error.manifest.decode())  # the hand-over itself: a file that Tiphys wrote, byte for byte
        raise
    output.note(f"{done.root} is in Argo CD at {workspace.server.url}")
    return done


async def _server_facts(workspace: Workspace, output: Output) -> dict[str, object]:
    server = workspace.server
    version, user = await server.version(), await server.user_info()
    if not user.logged_in:
        output.warn(f"{server.url} does not know us: only what anybody may see is shown")
    visible = await server.list_applications()
    return {
        "url": server.url,
        "version": clean(version.version) or None,
        "user": clean(user.username) or None,
        "applications": len(visible),
    }


def _remember(name: str, one: Chosen, identity: str, workspace: Workspace, output: Output) -> None:
    """Keep what was given, on top of what was known of the same repository, and make it the last opened one."""
    repo = workspace.repo.url if workspace.has_repo else ""
    before = config.known().workspaces.get(name, config.KnownWorkspace())
    if before.repo != repo:  # another workspace by that name: nothing of it is kept
        before = config.KnownWorkspace()
    argocd = workspace.server.url if workspace.has_server else before.argocd
    before = config.without_secrets(before, repo=repo, argocd=argocd)
    given = {key: value for key, value in msgspec.structs.asdict(one.known.connection).items() if value}
    known = msgspec.structs.replace(
        one.known,
        id=identity or before.id,
        repo=repo,
        argocd=argocd,
        author=one.known.author or before.author,
        signing=one.known.signing if one.known.signing is not None else before.signing,
        connection=msgspec.structs.replace(before.connection, **given),
    )
    if "@" in one.known.repo.partition("://")[2].partition("/")[0] and one.known.repo.startswith("http"):
        output.note("the password in the URL is not remembered: a git credential helper or --git-token-file FILE gives it next time")
    config.remember(name, known)


def _said(output: Output, found: dict[str, object]) -> None:
    if output.machine:
        output.document(found)
        return
    repo, argocd = found["repo"], found["argocd"]
    output.line(f"workspace   {found['name']}")
    if isinstance(repo, dict):
        counts = f"{repo['environments']} environments, {repo['apps']} apps, {repo['deployments']} deployments"
        output.line(
            f"repository  {repo['url']} ({repo['branch']}): {counts}" + (f", {repo['problems']} problems" if repo["problems"] else "")
        )
    else:
        output.line("repository  none: what writes Git needs one")
    if isinstance(argocd, dict):
        output.line(
            f"Argo CD     {argocd['url']}: {argocd['version']}, as {argocd['user'] or 'nobody'}, {argocd['applications']} Applications"
        )
    elif isinstance(repo, dict) and repo["argocdHint"]:
        output.line(f"Argo CD     none named; tiphys.yaml says {repo['argocdHint']}: tiphys open … --argocd URL to use it")
