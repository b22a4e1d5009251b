"""What an import may load: start-up is a feature, and floors are walls."""

import json
import subprocess
import sys

import pytest

HEAVY = ("textual", "kubernetes", "git", "httpx", "aiohttp", "rich")


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running `code`."""
    out = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nimport json; print(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(json.loads(out.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import backends",
        "import backends.domain.rollout, backends.errors, backends.text, backends.gitops.tree, backends.argocd.types",
    ],
)
def test_importing_backends_loads_no_transport(code: str) -> None:
    assert set() == loaded_after(code) & set(HEAVY)


def test_a_plain_list_loads_neither_git_nor_an_event_loop() -> None:
    code = "import tui.cli.parser, tui.cli.get, tui.cli.session, backends.argocd.quick, backends.argocd.options"
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {code.removeprefix('import ')}\nprint('\\n'.join(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert [] == [
        name for name in loaded if name.startswith(("asyncio", "httpx", "yaml", "backends.gitops", "backends.live", "backends.render"))
    ]
