"""`tiphys` without a command: what it can do. The dashboard takes this place once it exists."""

from __future__ import annotations

import argparse

from tui.cli.output import Output


def show(arguments: argparse.Namespace, output: Output) -> int:
    """Print the help, as `--help` does."""
    for line in arguments.parser.format_help().splitlines():
        output.line(line)
    return 0
