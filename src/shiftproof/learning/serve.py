"""The page from a server on this machine: loopback only, behind a random token, for its own pages only."""

from __future__ import annotations

import errno
import http.server
import re
import secrets
import urllib.parse
from http import HTTPStatus
from typing import Any

from shiftproof.errors import LearnError
from shiftproof.learning.export import digest
from shiftproof.learning.pages import files, media_type
from shiftproof.learning.room import HTML, Reply, Room, small

LOOPBACK = "127.0.0.1"
TOKEN_BYTES = 16
ALONE = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Server(http.server.ThreadingHTTPServer):
    """Answers from a fixed set of files: no path leads anywhere else.

    Args:
        port: where to listen; 0 for any free port.
        held: the files by their path.
        room: what answers for the learner's own network.
    """

    daemon_threads = True
    allow_reuse_address = False  # a port that is taken is an error here, and then another is used

    def __init__(self, port: int, held: dict[str, bytes], room: Room) -> None:
        self.held, self.room = held, room
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.policy = _policy(held["index.html"].decode())
        super().__init__((LOOPBACK, port), Handler)

    @property
    def hosts(self) -> tuple[str, ...]:
        """How a browser on this machine may name this server."""
        port = self.server_address[1]
        return (f"{LOOPBACK}:{port}", f"localhost:{port}")

    @property
    def address(self) -> str:
        """Where the page is. Only who knows it can open it."""
        return f"http://{self.hosts[0]}/{self.token}/"


def _policy(index: str) -> str:
    """Scripts, styles and data of this server only; the import map is the only inline script."""
    mapped = re.search(r'<script type="importmap">(.*?)</script>', index, re.S)
    assert mapped is not None
    return (
        f"default-src 'none'; script-src 'self' {digest(mapped.group(1))}; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Handler(http.server.BaseHTTPRequestHandler):
    """One request. Whatever is not asked by the page itself is refused."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    server_version = "shiftproof"
    sys_version = ""

    def do_GET(self) -> None:
        """A file of the page."""
        self._answer(with_body=True)

    def do_POST(self) -> None:
        """Work that the page asks for. What is sent with it is not read: the address says all."""
        self.close_connection = True
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """What a file is."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed for each request."""

    def _answer(self, *, with_body: bool) -> None:
        refused = self._refused()
        path, _, query = self.path.partition("?")
        path = path.removeprefix(f"/{self.server.token}/") or "index.html"
        found = None if refused is not None else self._found(path, dict(urllib.parse.parse_qsl(query)))
        if refused is None and found is None:
            refused = HTTPStatus.NOT_FOUND
        kind, body = found or ("text/plain; charset=utf-8", b"")
        if refused is not None:
            body = f"{refused.value} {refused.phrase}\n".encode()
        self.send_response(HTTPStatus.OK if refused is None else refused)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        # The page of an audit has a policy of its own inside, which names its scripts.
        self.send_header(
            "Content-Security-Policy", ALONE if kind == HTML and path != "index.html" else self.server.policy
        )
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _found(self, path: str, given: dict[str, str]) -> Reply | None:
        """What is at a path: a file of the page, or what the room says. Only the room is asked to do anything."""
        if self.command == "POST":
            return self.server.room.post(path, given)
        if path in self.server.held:
            return media_type(path), self.server.held[path]
        return self.server.room.get(path, given)

    def _refused(self) -> HTTPStatus | None:
        """Why the request is not answered: another name of the host (DNS rebinding), another page, or no token."""
        hosts = self.server.hosts
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in hosts:
            return HTTPStatus.MISDIRECTED_REQUEST
        if origin is not None and origin not in {f"http://{host}" for host in hosts}:
            return HTTPStatus.FORBIDDEN
        given = self.path.split("/", 2)[1] if self.path.startswith("/") else ""
        same = secrets.compare_digest(given.encode("utf-8", "replace"), self.server.token.encode())
        return None if same and self.path.count("/") > 1 else HTTPStatus.NOT_FOUND


def server(port: int = 0, room: Room | None = None) -> Server:
    """A server of the exhibits, which `serve_forever` starts. If the port is taken, it listens on another one.

    Args:
        port: where to listen; 0 for any free port.
        room: with the learner's own network; None for a small network that comes with the package.

    Raises:
        LearnError: the system does not allow this port.
    """
    held, room = files(), room or Room(small)
    try:
        return Server(port, held, room)
    except OSError as e:
        if e.errno == errno.EADDRINUSE:
            return Server(0, held, room)
        raise LearnError(
            f"port {port} cannot be used: {e.strerror}", where="--port", remedy="leave --port out: a free one is found"
        ) from e
