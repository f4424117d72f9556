"""Pictures by the catalog's integer ids and never by path: addresses, rows, and the routes that serve them.

An id's bytes never change (a changed file gets a new id), so the browser may keep them. Requests that
another site makes through the person's browser are refused. Only numbers enter the HTML.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Iterable
from functools import cache

import streamlit as st
from PIL import Image
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from engine.core.errors import KindredError
from engine.core.workspace import Workspace
from engine.images.thumbnails import picture, thumbnail

_KEEP = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_LARGEST_ID = 2**63 - 1
_CELL, _MOST = 96, 8
_STYLE = (
    "display:inline-block;object-fit:contain;background:rgba(128,128,128,.12);border-radius:6px;"
    "margin:0 4px 4px 0;vertical-align:top"
)


def strip_address(ids: Iterable[int]) -> str:
    """Return the address of one picture that holds up to eight thumbnails side by side, for a cell of a table."""
    return "/strip/" + "-".join(str(int(image)) for image in ids)


def strip(ids: Iterable[int], *, size: int = 56, wrap: bool = True) -> None:
    """Show thumbnails side by side, `size` pixels square, whole images; without `wrap` one row is cut off."""
    cells = "".join(
        f'<img src="/thumb/{int(image)}" width="{size}" height="{size}" loading="lazy" alt="" style="{_STYLE}">'
        for image in ids
    )
    flow = "normal" if wrap else "nowrap;overflow:hidden"
    st.html(f'<div style="line-height:0;white-space:{flow}">{cells}</div>')


def is_foreign(request: Request) -> bool:
    """Whether another site asks through the person's browser."""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")


@cache
def _opened(root: str) -> Workspace:
    return Workspace.open(root or None)


def workspace_served() -> Workspace:
    """Return the workspace of this process, opened once: a page asks for some fifty pictures."""
    return _opened(os.environ.get("KINDRED_WORKSPACE", ""))


def asked_ids(text: str, most: int) -> list[int] | None:
    """Return the ids in an address, `12-7-9`; None where it is anything else than at most `most` numbers."""
    parts = text.split("-")
    plain = all(part.isascii() and part.isdecimal() and int(part) <= _LARGEST_ID for part in parts)
    return [int(part) for part in parts] if len(parts) <= most and plain else None


async def _serve(request: Request, make: Callable[[Workspace, int], bytes | None]) -> Response:
    if is_foreign(request):
        return Response(status_code=403)
    image_id = int(request.path_params["image_id"])
    if image_id > _LARGEST_ID:
        return Response(status_code=404)
    try:
        data = await asyncio.to_thread(make, workspace_served(), image_id)
    except KindredError:
        data = None
    if data is None:
        return Response(status_code=404, headers={"Cache-Control": "no-store"})
    return Response(data, media_type="image/jpeg", headers=_KEEP)


async def _thumbnail(request: Request) -> Response:
    """Serve a 256 px JPEG."""
    return await _serve(request, thumbnail)


async def _picture(request: Request) -> Response:
    """Serve the picture itself, at most 2,048 px on its longer side, as JPEG."""
    return await _serve(request, picture)


def _strip_of(workspace: Workspace, ids: list[int]) -> bytes:
    """Return the thumbnails of some images side by side, whole, on a neutral ground that suits light and dark."""
    canvas = Image.new("RGBA", (_CELL * len(ids), _CELL), (0, 0, 0, 0))
    for place, image_id in enumerate(ids):
        data = thumbnail(workspace, image_id)
        if data is None:
            continue
        with Image.open(io.BytesIO(data)) as opened:
            opened.thumbnail((_CELL - 4, _CELL - 4))
            canvas.paste(opened, (place * _CELL + (_CELL - opened.width) // 2, (_CELL - opened.height) // 2))
    buffer = io.BytesIO()
    canvas.save(buffer, "WEBP", quality=80, method=0)
    return buffer.getvalue()


async def _strip(request: Request) -> Response:
    """Serve up to eight thumbnails as one picture: the looks of a cluster in a table cell."""
    if is_foreign(request):
        return Response(status_code=403)
    ids = asked_ids(str(request.path_params["image_ids"]), _MOST)
    if ids is None:
        return Response(status_code=404)
    data = await asyncio.to_thread(_strip_of, workspace_served(), ids)
    return Response(data, media_type="image/webp", headers=_KEEP)


async def _first_page(request: Request) -> Response:
    """Lead /images to the first page, which Streamlit knows only as /."""
    return RedirectResponse(request.url.replace(path="/"))


ROUTES = [
    Route("/images", _first_page),
    Route("/strip/{image_ids}", _strip),
    Route("/thumb/{image_id:int}", _thumbnail),
    Route("/image/{image_id:int}", _picture),
]
