"""The command line's grammar: every sub-command, its options and its one-line help. What a command does is in its own module.

Global options may stand before or after the command. A command's module is imported only when it runs, so that `--help` and shell
completion stay fast.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, NoReturn

from backends.secret import Secret, typed_url
from tui import VERSION

Command = Callable[[argparse.Namespace, Any], Coroutine[Any, Any, int] | int]
"""A command is a coroutine, or gives its exit code at once where it needs no loop."""

_NOT_TEXT = re.compile("[\ud800-\udfff]")
"""Bytes that Python could not read as UTF-8."""
_FORMS = ("table", "wide", "json", "yaml")
NOUNS = ("workspaces", "clusters", "environments", "apps", "deployments", "applications", "projects")
KINDS = ("development", "testing", "staging", "production", "preview")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options of one command line; `.command` is what to run.

    Raises `SystemExit` 2 (usage) and 0 (`--help`, `--version`), as argparse does.
    """
    parser = _parser()
    try:
        argv = [os.fsencode(argument).decode() if _NOT_TEXT.search(argument) else argument for argument in argv]  # LANG=C reads ASCII alone
    except UnicodeError:
        parser.error("an argument is not UTF-8")
    arguments = parser.parse_args(argv)
    for name, value in _GLOBAL_DEFAULTS.items():
        if not hasattr(arguments, name):
            setattr(arguments, name, value)
    return arguments


_GLOBAL_DEFAULTS: dict[str, Any] = {
    "workspace": "", "repo": "", "argocd": "", "branch": "", "readonly": False, "output": "table", "no_color": False, "debug": False,
    "auth_token_file": "", "argocd_context": "", "username": "", "password_file": "", "ca_file": "", "client_certificate": "",
    "client_key": "", "insecure": False, "plaintext": False, "header": [], "git_token_file": "",
}  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """Options are never guessed from their beginning: a later version's new option must not change what a script's short one means."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        from backends.text import clean

        near = self._meant(message)
        self.exit(2, f"tiphys: {clean(message)}\n  hint: {f'did you mean {near}? ' if near else ''}{self.prog} --help\n")

    def _meant(self, message: str) -> str:
        """The choice or the option that was probably meant; "" when none is near."""
        import difflib
        import re

        if choice := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)$", message):
            names, typed = re.findall(r"[\w-]+", choice[2]), choice[1]
        elif option := re.search(r"unrecognized arguments:.*?(--[\w-]+)", message):
            names, typed = [*_options(self)], option[1]
        else:
            return ""
        return next(iter(difflib.get_close_matches(typed, names, 1)), "")


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every option of a parser and of what is below it."""
    yield from parser._option_string_actions
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from _options(sub)


def _add_globals(parser: argparse.ArgumentParser) -> None:
    """The options that every command takes, below its own in the help; `_GLOBAL_DEFAULTS` where they are not given."""
    usage = parser.format_usage().removeprefix("usage: ").strip()
    parser.usage = f"{usage} [global options]"
    parser.argument_default = argparse.SUPPRESS
    group = parser.add_argument_group("global options")
    group.add_argument("--workspace", metavar="NAME", help="a workspace that was opened before (default: the last one)")
    group.add_argument("--repo", type=typed_url, metavar="URL", help="the workspace repository; no remembered workspace is used then")
    group.add_argument(
        "--argocd", type=typed_url, metavar="URL", help="Argo CD's base URL, with any path prefix; no remembered workspace is used then"
    )
    group.add_argument("--branch", metavar="NAME", help="the repository's branch (default: main)")
    group.add_argument("--readonly", action="store_true", help="refuse every write")
    group.add_argument("-o", "--output", choices=_FORMS, help="table (default), wide, json or yaml")
    group.add_argument("--no-color", action="store_true", help="no colours (NO_COLOR does the same)")
    group.add_argument("--debug", action="store_true", help="failures show their traceback")
    group = parser.add_argument_group("connection to Argo CD")
    group.add_argument("--auth-token-file", metavar="FILE", help="a file of yours alone that holds the token")
    group.add_argument("--argocd-context", metavar="NAME", help="a context of the argocd CLI's configuration")
    group.add_argument("--username", metavar="NAME", help="log in with a password, typed or from --password-file")
    group.add_argument("--password-file", metavar="FILE", help="a file of yours alone that holds the password")
    group.add_argument("--ca-file", metavar="FILE", help="certificate authorities to trust beside the system's")
    group.add_argument("--client-certificate", metavar="FILE", help="client certificate (PEM)")
    group.add_argument("--client-key", metavar="FILE", help="its key (PEM)")
    group.add_argument("--insecure", action="store_true", help="do not verify the server's certificate")
    group.add_argument("--plaintext", action="store_true", help="http where the URL names no scheme")
    group.add_argument(
        "--header",
        action="append",
        type=Secret,
        metavar="'NAME: VALUE'",
        help="an extra header for every call (repeatable; never remembered)",
    )
    group = parser.add_argument_group("connection to the repository")
    group.add_argument(
        "--git-token-file", metavar="FILE", help="a file of yours alone with TOKEN or USER:PASSWORD (default: git's own helpers)"
    )


def _parser() -> _Parser:
    parser = _Parser(
        prog="tiphys",
        description="Ships software with Git, Argo CD and Kubernetes: watches Argo CD and writes the Git side.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 refused, 4 timed out, 5 unreachable, 130 interrupted.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"tiphys {VERSION}")
    parser.set_defaults(command=_lazy("help", "show"))
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    made: list[argparse.ArgumentParser] = [parser]

    def command(name: str, module: str, function: str, help_text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
        made.append(sub)
        sub.set_defaults(command=_lazy(module, function))
        return sub

    _starting(command)
    made += _creating(commands)
    _changing(command)
    _argo(command)
    _looking(command)
    for one in made:  # last, so that help shows a command's own options first
        _add_globals(one)
    return parser


def _starting(command: Callable[[str, str, str, str], argparse.ArgumentParser]) -> None:
    sub = command("demo", "demo", "demo", "the sandbox: a small fleet on this machine, no cluster, no token, no network")
    sub.add_argument("--headless", action="store_true", help="play the main job and print its timeline")
    sub.add_argument("--speed", type=_positive, default=1.0, metavar="N", help="how many times faster than life (default 1)")
    sub = command("open", "workspaces", "open_", "check a repository and an Argo CD, remember them, say what was found")
    sub.add_argument("repo_url", nargs="?", type=typed_url, default="", metavar="REPO_URL")
    sub.add_argument("--name", default="", help="the name to remember it by (default: its slug, or the server's host)")
    sub = command("init", "workspaces", "init", "make a repository a workspace: its first commit")
    sub.add_argument("repo_url", type=typed_url, metavar="REPO_URL")
    sub.add_argument("--slug", required=True, help="the workspace's short name")
    sub.add_argument("--argocd-repo-url", default="", metavar="URL", help="where Argo CD reaches the repository, if not where we push")
    _writing(sub, wait=False)
    sub = command("bootstrap", "workspaces", "bootstrap", "put the workspace's root into Argo CD")
    sub = command("forget", "workspaces", "forget", "forget a remembered workspace; nothing of it is changed")
    sub.add_argument("name", metavar="NAME")


def _creating(commands: Any) -> tuple[argparse.ArgumentParser, ...]:
    create = commands.add_parser(
        "create",
        help="create an environment, an app or a cluster",
        description="Create an environment, an app or a cluster.",
    )
    nouns = create.add_subparsers(title="what", metavar="WHAT", required=True)
    environment = sub = nouns.add_parser("environment", help="an environment, or other options of an existing one")
    sub.set_defaults(command=_lazy("create", "environment"))
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("--kind", choices=KINDS)
    sub.add_argument("--order", type=int, metavar="N", help="its place in promotion (default: the highest + 10)")
    sub.add_argument("--cluster", metavar="NAME", help="the default cluster (default: in-cluster)")
    sub.add_argument("--clusters", type=_names, metavar="A,B", help="the clusters its deployments may be on")
    sub.add_argument("--namespace", metavar="TEMPLATE", help="default {app}-{env}")
    sub.add_argument("--promote-from", type=_names, metavar="E,…")
    sub.add_argument("--protected", action=argparse.BooleanOptionalAction, help="writes type its name (default for production)")
    sub.add_argument("--unprotected", dest="protected", action="store_false", default=None)
    sub.add_argument("--manual", action="store_true", default=None, help="changes wait for a sync")
    sub.add_argument("--automated", dest="manual", action="store_false", help="changes are synced by themselves (default)")
    _writing(sub)
    app = sub = nouns.add_parser("app", help="an app of yours, or an add-on from a chart repository")
    sub.set_defaults(command=_lazy("create", "app"))
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("--image", default="", metavar="REPOSITORY")
    sub.add_argument("--source", default="", metavar="GIT_URL", help="where its code is")
    sub.add_argument(
        "--chart", default="", metavar="PATH|NAME", help="a chart of this repository (default charts/service); with --addon its name"
    )
    sub.add_argument("--chart-version", default="", metavar="V")
    sub.add_argument("--addon", action="store_true", help="a published chart; no build")
    sub.add_argument("--chart-repo", default="", metavar="URL")
    _writing(sub)
    cluster = sub = nouns.add_parser("cluster", help="a cluster that Argo CD already knows")
    sub.set_defaults(command=_lazy("create", "cluster"))
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("--server", required=True, metavar="URL")
    sub.add_argument("--secret", default="", metavar="NAME")
    _writing(sub)
    return create, environment, app, cluster


def _changing(command: Callable[[str, str, str, str], argparse.ArgumentParser]) -> None:
    sub = command("deploy", "change", "deploy", "deploy an image or a chart version by a commit")
    sub.add_argument("app", metavar="APP")
    sub.add_argument("--to", required=True, type=_names, metavar="ENV[/CLUSTER][,…]")
    sub.add_argument("--image", action="append", default=[], metavar="[NAME=]REF", help="repeatable for apps of several images")
    sub.add_argument("--chart-version", default="", metavar="V")
    sub.add_argument("--source", default="", metavar="SHA", help="the commit that the image was built from")
    sub.add_argument("--build", default="", metavar="ID", help="the CI run that built it")
    _writing(sub)
    sub = command("set", "change", "set_", "change values of a deployment, an app or an environment")
    sub.add_argument("target", metavar="TARGET", help="a deployment's ID, app:NAME or environment:NAME")
    sub.add_argument(
        "changes", nargs="+", metavar="KEY=VALUE|KEY-", help=r"KEY dotted, \. escapes a dot, [n] an index; VALUE a YAML scalar"
    )
    _writing(sub)
    sub = command("rollback", "change", "rollback", "restore an earlier release as a new commit")
    sub.add_argument("id", metavar="ID")
    sub.add_argument("--to", default="", metavar="COMMIT")
    sub.add_argument("--with-values", action="store_true", help="values.yaml as it was, too")
    _writing(sub)
    sub = command("pause", "change", "pause", "pause automated sync until a time")
    sub.add_argument("target", metavar="ID|environment:NAME")
    sub.add_argument("--until", required=True, metavar="WHEN", help="18:00, 2h, 3d or an RFC 3339 time")
    _writing(sub)
    sub = command("resume", "change", "resume", "end a pause")
    sub.add_argument("target", metavar="ID|environment:NAME")
    _writing(sub)
    sub = command("delete", "change", "delete", "delete a deployment: its workloads go")
    sub.add_argument("id", metavar="ID")
    _writing(sub)
    sub = command("pending", "pending", "pending", "unfinished changes: what was confirmed and may not have been pushed")
    sub.add_argument("change", nargs="?", default="", metavar="CHANGE")
    sub.add_argument("--run", action="store_true", help="plan it again and run it")
    sub.add_argument("--drop", action="store_true", help="forget it")
    _writing(sub)


def _argo(command: Callable[[str, str, str, str], argparse.ArgumentParser]) -> None:
    sub = command("sync", "argo", "sync", "sync an Application now")
    _application(sub)
    sub.add_argument("--prune", action="store_true", help="delete what Git no longer has")
    sub.add_argument("--dry-run", action="store_true")
    sub.add_argument(
        "--resource", action="append", default=[], metavar="[GROUP/]KIND/NAME", help="only this one (repeatable; no hooks run then)"
    )
    sub.add_argument("--confirm", default="", metavar="NAME", help="the typed name, where protected")
    sub.add_argument("--yes", action="store_true", help="confirmed")
    sub.add_argument("--wait", action="store_true")
    sub.add_argument("--timeout", type=_duration, default=600.0, metavar="10m")
    sub = command("refresh", "argo", "refresh", "have Argo CD compare an Application now")
    _application(sub)
    sub.add_argument("--hard", action="store_true", help="render again, whatever is cached")
    sub = command("terminate", "argo", "terminate", "end the operation that runs")
    _application(sub)


def _looking(command: Callable[[str, str, str, str], argparse.ArgumentParser]) -> None:
    sub = command("get", "get", "get", "list what there is")
    sub.add_argument("noun", choices=NOUNS, metavar="NOUN", help=", ".join(NOUNS))
    sub.add_argument("-l", "--selector", default="", help="label selector (applications)")
    sub = command("tree", "look", "tree", "the objects of an Application and their state")
    _application(sub)
    sub = command("events", "events", "events", "events of an Application, or of everything")
    _application(sub, optional=True)
    sub.add_argument("-f", "--follow", action="store_true")
    sub = command("history", "history", "history", "the commits of a deployment, or of everything")
    _application(sub, optional=True)
    sub.add_argument("--limit", type=int, default=50, metavar="N")
    sub = command("watch", "watch", "watch", "follow an Application; its stages as they come")
    _application(sub)
    sub.add_argument("--timeout", type=_duration, default=0.0, metavar="10m", help="end after this long (default: never)")
    sub = command("why", "why", "why", "why a deployment is not live")
    _application(sub)
    sub = command("logs", "look", "logs", "logs of an Application's pods")
    _application(sub)
    sub.add_argument("-f", "--follow", action="store_true")
    sub.add_argument("-p", "--previous", action="store_true", help="of the container before its restart")
    sub.add_argument("--pod", default="", metavar="NAME")
    sub.add_argument("-c", "--container", default="", metavar="NAME")
    sub.add_argument("--tail", type=int, default=200, metavar="N")
    sub = command("diff", "look", "diff", "what differs between the cluster and Git")
    _application(sub)


def _application(sub: argparse.ArgumentParser, *, optional: bool = False) -> None:
    if optional:
        sub.add_argument("name", nargs="?", default="", metavar="[NAMESPACE/]NAME")
    else:
        sub.add_argument("name", metavar="[NAMESPACE/]NAME")


def _writing(sub: argparse.ArgumentParser, *, wait: bool = True) -> None:
    group = sub.add_argument_group("writing")
    group.add_argument("--plan", action="store_true", help="show what would change, and stop")
    group.add_argument("--yes", action="store_true", help="confirmed, except for what is protected")
    group.add_argument("--confirm", default="", metavar="NAME", help="the typed name, where protected")
    group.add_argument("--reason", default="", metavar="TEXT", help="why, for the history (one line)")
    if wait:
        group.add_argument("--wait", action="store_true", help="follow until it is live, or it is known why not")
        group.add_argument("--timeout", type=_duration, default=600.0, metavar="10m", help="how long to wait (default 10m)")
        group.add_argument("--full-sync", action="store_true", help="where hooks were skipped: sync fully and wait for it")


def _lazy(module: str, function: str) -> Command:
    def run(arguments: argparse.Namespace, output: Any) -> Coroutine[Any, Any, int] | int:
        command: Command = getattr(importlib.import_module(f"tui.cli.{module}"), function)
        return command(arguments, output)

    return run


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1000:
        raise argparse.ArgumentTypeError("a number above 0, at most 1000")
    return number


def _duration(text: str) -> float:
    """Seconds of "90", "90s", "10m", "2h"."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 10_000_000:
        raise argparse.ArgumentTypeError(f"not a duration: {text!r} (30s, 10m, 2h)")
    return seconds
