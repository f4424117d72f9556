"""A small server that speaks the hub's protocol: model info, `resolve` with LFS headers, ranges, tokens, broken lines.

Asked with an absolute address, it answers as a proxy that has the hub behind it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin")  # what the hub keeps as LFS, known by its SHA-256


@dataclass
class Hub:
    """What the server has and how it behaves; tests change it while it runs.

    Attributes
    ----------
    files : dict of str to bytes
        The files of every repository.
    refusal : (status, X-Error-Code) or None
        How everything is refused.
    token : str
        What must be sent for the files, as for a gated model; nothing when empty.
    cuts : list of int
        The next answers with a body each end after so many bytes, in the middle of the file.
    damaged : bool
        Bodies have a byte that is not the file's.
    asked : list of (method, path, range)
    """

    files: dict[str, bytes] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None
    token: str = ""
    cuts: list[int] = field(default_factory=list)
    damaged: bool = False
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""

    def ranges(self) -> list[str]:
        """Return the ranges of the large bodies that were asked for, in order; "" for a whole one."""
        return [asked for method, path, asked in self.asked if method == "GET" and "/cdn/" in path]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, path = self.hub, urlsplit(self.path).path
        hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
        if hub.refusal:
            self._send(hub.refusal[0], {"X-Error-Code": hub.refusal[1]})
        elif path.startswith("/api/models/"):
            about = {"id": path.removeprefix("/api/models/"), "sha": COMMIT}
            about |= {"siblings": [{"rfilename": name, "size": len(body)} for name, body in hub.files.items()]}
            self._send(200, {"Content-Type": "application/json"}, json.dumps(about).encode())
        elif path.startswith("/cdn/"):
            self._send_range(next(body for body in hub.files.values() if _sha256(body) == path.rpartition("/")[2]))
        else:
            self._resolve(path.rpartition("/")[2])

    def _resolve(self, name: str) -> None:
        hub = self.hub
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._send(401, {"X-Error-Code": "GatedRepo"})
        elif name not in hub.files:
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        elif name.endswith(LARGE):
            body = hub.files[name]
            linked = {"X-Linked-ETag": f'"{_sha256(body)}"', "X-Linked-Size": str(len(body))}
            host = self.headers["Host"].replace("127.0.0.1", "localhost").replace("hub.", "cdn.")
            where = f"http://{host}/cdn/{_sha256(body)}"  # another host, as the hub's large files are elsewhere
            self._send(302, {"X-Repo-Commit": COMMIT, "Location": where, **linked})
        else:
            body = hub.files[name]
            self._send(200, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(body).hexdigest()}"'}, body)

    def _send_range(self, body: bytes) -> None:
        if self.hub.damaged:
            body = bytes([body[0] ^ 1]) + body[1:]
        asked = self.headers.get("Range", "")
        if not asked:
            self._send(200, {"ETag": '"cdn"'}, body)
            return
        start = int(asked.removeprefix("bytes=").split("-")[0])
        about = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        self._send(206, about, body[start:])

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "GET":
            return
        if len(body) > 1000 and self.hub.cuts:
            body = body[: self.hub.cuts.pop(0)]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Hub]:
    """Run the server on a free port of this machine; `address` says which."""
    hub = Hub(dict(files))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
