"""What a program that reads other people's files may use: set here, then this process becomes that program.

Run by path in an interpreter of its own, so it imports the standard library alone and none of ours:

    python -I -S -B contain.py MEMORY FILE CPU OFFLINE -- PROGRAM ARGUMENT…

Limits set before `exec` hold for the program's first instruction, which a parent that limits its child afterwards cannot promise; and a
`preexec_fn` may deadlock in a process with threads. Not for deciding what is allowed: `child.Limits` does that.
"""

import contextlib
import ctypes
import os
import resource
import sys

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000  # <linux/sched.h>
_NO_NEW_PRIVILEGES = 38  # <linux/prctl.h>


def limit(memory: int, file: int, cpu: int) -> None:
    """Bound this process: bytes of writable memory, bytes of any file it writes, seconds of processor time (0: no such limit).

    `RLIMIT_AS` is useless for Go, which reserves address space by the gigabyte; `RLIMIT_DATA` counts what is writable (Linux ≥ 4.7), and a
    Go program that meets it ends with "cannot allocate memory". macOS sets it and does not enforce it.
    """
    for name, bound in (("RLIMIT_CORE", 0), ("RLIMIT_DATA", memory), ("RLIMIT_FSIZE", file), ("RLIMIT_CPU", cpu or resource.RLIM_INFINITY)):
        which = getattr(resource, name)
        hard = resource.getrlimit(which)[1]
        if hard != resource.RLIM_INFINITY and (bound == resource.RLIM_INFINITY or bound > hard):
            bound = hard  # noqa: PLW2901 - a lower bound that somebody set above us stays
        with contextlib.suppress(ValueError, OSError):  # macOS takes some and refuses others; time and output are watched from outside
            resource.setrlimit(which, (bound, bound))


def leave_the_network() -> None:
    """Step into a network namespace that has no interface up, where the kernel lets a user do that (Linux; many containers refuse).

    The second wall: nothing that was let through to here should ask for the network.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.unshare(_NEW_USER | _NEW_NET) != 0:
        libc.unshare(_NEW_NET)


def main(arguments: list[str]) -> None:
    memory, file, cpu, offline, mark, program, *rest = arguments
    if mark != "--":
        raise SystemExit(64)
    os.umask(0o077)
    if offline == "1":
        leave_the_network()
    limit(int(memory), int(file), int(cpu))
    os.execv(program, [program, *rest])  # noqa: S606 - an absolute path that our own side chose, no shell


if __name__ == "__main__":
    main(sys.argv[1:])
