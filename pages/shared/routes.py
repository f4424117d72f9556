"""The two routes that serve pictures, by the catalog's integer ids and never by path.

An id's bytes never change (a changed file gets a new id), so the browser may keep them. Requests that
another site makes through the person's browser are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.errors import KindredError
from engine.images.thumbnails import picture, thumbnail
from engine.workspace import Workspace

_KEEP = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_LARGEST_ID = 2**63 - 1


async def _serve(request: Request, make: Callable[[Workspace, int], bytes | None]) -> Response:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return Response(status_code=403)
    image_id = int(request.path_params["image_id"])
    if image_id > _LARGEST_ID:
        return Response(status_code=404)
    try:
        data = await asyncio.to_thread(make, Workspace.open(), image_id)
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


ROUTES = [Route("/thumb/{image_id:int}", _thumbnail), Route("/image/{image_id:int}", _picture)]
