"""The program that git and ssh start when they ask something: hands the question to the Tiphys that waits beside it.

Runs by itself in a bare interpreter (`-I -S`), so it imports nothing of ours. The socket lies in the private folder of this file; neither
the environment nor the arguments carry an answer. No answer, or no Tiphys: exit 1, which git and ssh take as a refusal.
"""

import os
import socket
import sys


def main() -> int:
    """Print the answer to the question in argv[1]."""
    with socket.socket(socket.AF_UNIX) as tiphys:
        try:
            os.chdir(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - importing pathlib takes 8 ms
            tiphys.connect("socket")  # a relative name: the whole one may be longer than a socket's address may be
            tiphys.sendall(" ".join(sys.argv[1:]).encode("utf-8", "surrogateescape")[:8000])
            tiphys.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := tiphys.recv(4096):
                answer += chunk
        except OSError:
            return 1
    if answer[:1] != b"+":
        return 1
    sys.stdout.buffer.write(answer[1:] + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
