"""The first commit of a workspace: its name, its root, an empty control folder and the starter chart."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from backends.domain.ids import parse_slug
from backends.domain.workspace import SCHEMA_VERSION, ArgoHint, Workspace
from backends.errors import Invalid, Refused
from backends.gitops import control, files, records
from backends.gitops.address import refuse_credentials
from backends.gitops.intent import Description
from backends.gitops.intents.subjects import description
from backends.gitops.tree import Tree
from backends.text import clean, is_one_line

STARTER = Path(__file__).resolve().parent.parent / "starter"

GITATTRIBUTES = b"* text=auto eol=lf\n"
CODEOWNERS = b"""\
# Whoever may push to these can do what Argo CD can do. Name owners, and have the forge require their review.
# /bootstrap/  @your-organisation/platform
# /control/    @your-organisation/platform
# /charts/     @your-organisation/platform
"""


class Init(msgspec.Struct, frozen=True, kw_only=True, tag="init"):
    """Makes a workspace of an empty repository."""

    slug: str
    id: str
    """A ULID, minted by whoever makes the intent."""
    repo_url: str
    """Where Argo CD reads the repository."""
    branch: str = "main"
    argocd_url: str = ""
    namespace: str = "argocd"

    def apply(self, tree: Tree) -> Tree:
        """Nothing to do in a workspace of the same slug. Raises `Refused` in any other repository that holds something."""
        if files.WORKSPACE in tree:
            found = files.workspace(tree).slug
            if found == self.slug:
                return tree
            raise Refused(f"this repository is workspace {clean(found, limit=60)!r} already, not {clean(self.slug, limit=60)!r}")
        if tree.commit is not None or next(tree.paths(), None) is not None:
            raise Refused("this repository has commits and is no workspace", hint="a workspace begins in an empty repository")
        parse_slug(self.slug, "workspace slug")
        for what, text in (("repository URL", self.repo_url), ("branch", self.branch), ("namespace", self.namespace)):
            if not text or text.startswith("-") or not is_one_line(text) or " " in text:
                raise Invalid(f"not a {what}: {clean(text, limit=120)!r}")
        refuse_credentials(self.repo_url, "repository URL")
        refuse_credentials(self.argocd_url, "address of Argo CD")
        workspace = Workspace(
            schema_version=SCHEMA_VERSION,
            id=self.id,
            slug=self.slug,
            argocd=ArgoHint(namespace=self.namespace, url=self.argocd_url),
            repo_url=self.repo_url,
            revision=self.branch,
        )
        return tree.with_files(
            {
                files.WORKSPACE: records.workspace_yaml(workspace),
                ".gitattributes": GITATTRIBUTES,
                "CODEOWNERS": CODEOWNERS,
                files.ROOT: control.root_yaml(workspace),
                f"control/{files.KEEP}": b"",
                **starter_files(),
            }
        )

    def describe(self, before: Tree, after: Tree) -> Description:  # noqa: ARG002 - the protocol's
        return description(after, "init", self.slug, "workspace", [])


@cache
def starter_files() -> dict[str, bytes]:
    """The starter chart by repository path, as shipped in the wheel."""
    return {path.relative_to(STARTER).as_posix(): path.read_bytes() for path in sorted(STARTER.rglob("*")) if path.is_file()}
