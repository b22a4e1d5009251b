"""The shell of Tiphys: entry point, command line, user configuration and, on top of the screens, the dashboard."""

VERSION = "0.1.0"
"""A literal, so that `tiphys --version` loads nothing; tests hold it against pyproject.toml."""
