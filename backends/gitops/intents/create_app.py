"""A new app: git (an image that CI builds) or add-on (a published chart)."""

from __future__ import annotations

import msgspec

from backends.domain.app import App
from backends.domain.ids import parse_slug
from backends.errors import Conflict, Invalid
from backends.gitops import charts, control, files, records
from backends.gitops.address import refuse_credentials
from backends.gitops.intent import Description
from backends.gitops.intents.subjects import description
from backends.gitops.tree import Tree
from backends.text import clean, is_one_line


class CreateApp(msgspec.Struct, frozen=True, kw_only=True, tag="create-app"):
    """Writes apps/<name>/; where the chart comes from a repository that no app used yet, also every environment's AppProject."""

    app: App

    def apply(self, tree: Tree) -> Tree:
        """Raises `Conflict` when another app of that name exists, `NotFound` for a chart of this repository that is not there."""
        app = self.app
        parse_slug(app.name, "app name")
        workspace = files.workspace(tree)
        path = files.app_file(app.name)
        if path in tree:
            if files.app(tree, app.name) == app:
                return tree
            raise Conflict(f"app {app.name} exists already and is another one", hint=f"its file is {path}")
        _check(tree, app)
        tree = tree.with_file(path, records.app_yaml(app))
        if files.app_values(app.name) not in tree and (app.chart is not None):
            tree = tree.with_file(files.app_values(app.name), records.values_yaml(f"values of {app.name} in every environment"))
        files.app(tree, app.name)  # what was written must be readable
        return with_projects(tree) if app.chart_repo and app.chart_repo != workspace.repo_url else tree

    def describe(self, before: Tree, after: Tree) -> Description:  # noqa: ARG002 - the protocol's
        chart = self.app.chart
        kind = "add-on" if self.app.kind == "addon" else "git"
        version = f" {chart.version}" if chart and chart.version else ""
        detail = f"{kind}, {chart.title}{version}{f' of {chart.repo}' if chart.repo else ''}" if chart else kind
        return description(after, "create-app", self.app.name, detail, [("App", self.app.name)])


def with_projects(tree: Tree) -> Tree:
    """Every environment's AppProject derived anew: the chart repositories of all apps are in each."""
    workspace = files.workspace(tree)
    apps = [files.app(tree, name) for name in files.apps(tree)]
    for name in files.environments(tree):
        tree = tree.with_file(files.project_file(name), control.project_yaml(workspace, files.environment(tree, name), apps))
    return tree


def _check(tree: Tree, app: App) -> None:
    chart = app.chart
    refuse_credentials(app.source.repo if app.source else "", "source repository")
    refuse_credentials(chart.repo if chart else "", "chart repository")
    texts = [app.source.repo if app.source else "", *(image.repository for image in app.images.values())]
    texts += [chart.path, chart.repo, chart.name, chart.version] if chart else []
    for text in texts:
        if not is_one_line(text) or text.startswith("-") or " " in text:
            raise Invalid(f"not usable in an app: {clean(text, limit=120)!r}")
    for name in app.images:
        parse_slug(name, "image name")
        if app.keys_of(name) is None and chart is not None:
            raise Invalid(f"nobody says where the chart reads the image {name!r}", hint="an app of several images needs imageValues")
    if app.kind == "addon" and (chart is None or not chart.repo or not chart.name):
        raise Invalid("an add-on needs the repository and the name of its chart")
    if chart is not None and chart.path:
        charts.folder(tree, chart.path, chart.version)
