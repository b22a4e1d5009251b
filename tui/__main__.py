"""The entry point: `tiphys` and `python -m tui`."""

import sys
from typing import NoReturn

from tui import VERSION


def main() -> NoReturn:
    """Run the command line and leave with its exit code, without waiting for threads that wait for somebody else."""
    if sys.argv[1:] in (["--version"], ["-V"]):  # before anything is imported: scripts ask this often
        print(f"tiphys {VERSION}")
        sys.exit(0)

    from tui.cli import run

    run(sys.argv[1:])


if __name__ == "__main__":
    main()
