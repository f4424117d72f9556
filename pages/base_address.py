"""Tells the browser where the app lives, so that a deep link such as /explore does not look for the server below it.

Without it Streamlit's page asks /explore/_stcore/health first, gets a 404, and only then asks the server itself. The
same script says whether the rail is folded, before anything is drawn (see components/rail/src/index.ts).
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CONDITIONS = (b"accept-encoding", b"if-none-match", b"if-modified-since")
_SCRIPT = (
    b"<script>window.__streamlit = { BACKEND_BASE_URL: location.origin };"
    b"try { document.documentElement.dataset.rail = localStorage.getItem('kindred-rail')"
    b" ?? (matchMedia('(max-width: 1100px)').matches ? 'folded' : 'open'); } catch {}</script>"
)


class BaseAddress:
    """Adds one line to the head of the app's page; everything else passes as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not _is_page(scope["path"]):
            await self.app(scope, receive, send)
            return
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _CONDITIONS]
        held: list[Message] = []

        async def listen(message: Message) -> None:
            if message["type"] == "http.response.start":
                kind = MutableHeaders(scope=message).get("content-type", "")
                if kind.startswith("text/html"):
                    held.append(message)
                    return
            if not held:
                await send(message)
                return
            held.append(message)
            if not message.get("more_body"):
                await _finish(held, send)

        await self.app(scope, receive, listen)


def _is_page(path: str) -> bool:
    """Whether a path may be a screen's: pictures and Streamlit's own files lie deeper."""
    return "/" not in path.strip("/") and "." not in path


async def _finish(held: list[Message], send: Send) -> None:
    start, *parts = held
    body = b"".join(part.get("body", b"") for part in parts).replace(b"<head>", b"<head>" + _SCRIPT, 1)
    headers = MutableHeaders(scope=start)
    headers["content-length"] = str(len(body))
    del headers["etag"]
    await send(start)
    await send({"type": "http.response.body", "body": body})
