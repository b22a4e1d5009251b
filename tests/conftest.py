"""What every test stands on: a home of its own, no tokens from outside, and property tests without stopwatches."""

import os
from pathlib import Path

import hypothesis
import pytest

# Machines differ and two cores are shared: an example may take long without being wrong. CI draws the same examples each time.
hypothesis.settings.register_profile("tiphys", deadline=None, max_examples=60, database=None)
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("tiphys"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "tiphys")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home with a Git identity, so that nothing of the person who runs the tests is read or written."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("XDG_", "ARGOCD_", "GIT_", "TIPHYS_")) and not name.startswith(("TIPHYS_E2E_", "TIPHYS_SHARED")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    (home / ".gitconfig").write_text("[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n")
    return home
