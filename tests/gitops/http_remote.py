"""A Git server over HTTP for tests: git's own smart backend behind a server that can also refuse, fail, redirect, drip and be silent."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class GitServer(ThreadingHTTPServer):
    """Serves bare repositories below `root`; its attributes say how it behaves."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.user = ""
        """`name:password` that is asked for; "" lets everybody in."""
        self.status: Callable[[str, str], int] = lambda method, path: 0
        """What to answer instead (0: nothing special)."""
        self.body = b""
        """What such an answer says."""
        self.redirect: Callable[[str, str], str] = lambda method, path: ""
        """Base URL that a request is redirected to ("": none)."""
        self.silent = False
        """Takes requests and never answers."""
        self.drip = 0.0
        """Seconds before each byte of an answer."""
        self.cut_after: int | None = None
        """Bytes of an answer after which the connection is closed."""
        self.cut_pushes = False
        """Closes the connection after a push has been carried out, before its answer."""
        self.seen: list[tuple[str, str, str | None]] = []
        """Method, path and Authorization of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is what some tests are about."""


@contextlib.contextmanager
def serving(root: Path) -> Iterator[GitServer]:
    """A server on loopback while inside."""
    server = GitServer(root)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: GitServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        server, parts = self.server, urlsplit(self.path)
        authorization = self.headers.get("Authorization")
        server.seen.append((self.command, parts.path, authorization))
        if server.silent:
            while server.silent:
                time.sleep(0.02)
            self.close_connection = True
            return
        elsewhere = server.redirect(self.command, self.path)
        if elsewhere:
            self._send(302, {"Location": elsewhere + self.path}, b"")
            return
        status = server.status(self.command, self.path)
        if status:
            self._send(status, {"Content-Type": "text/plain"}, server.body)
            return
        if server.user and authorization != "Basic " + base64.b64encode(server.user.encode()).decode():
            self._send(401, {"WWW-Authenticate": 'Basic realm="git"', "Content-Type": "text/plain"}, b"who are you\n")
            return
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "http.receivepack",
            "GIT_CONFIG_VALUE_0": "true",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "somebody",
            "REMOTE_ADDR": "127.0.0.1",
        }
        out = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        code = int(headers.pop("Status", "200").split()[0])
        if server.cut_pushes and parts.path.endswith("git-receive-pack") and self.command == "POST":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(code, headers, rest)

    def _send(self, code: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.cut_after is not None and len(body) > self.server.cut_after:
            self.wfile.write(body[: self.server.cut_after])
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif self.server.drip:
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                time.sleep(self.server.drip)
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr."""
