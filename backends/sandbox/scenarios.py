"""What a sandbox starts with."""

from __future__ import annotations

import subprocess

from backends.sandbox.sandbox import REPOSITORY, Sandbox


async def prepare(sandbox: Sandbox, *, empty: bool) -> str:
    """Fill a sandbox that was just made, unless its folder already holds one; gives the workspace's slug ("" when empty)."""
    bare = sandbox.options.folder / REPOSITORY
    if not bare.exists():
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    return ""
