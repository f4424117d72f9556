"""The picture routes of the harness apps: a plain coloured JPEG per id, 404 for ids that end in 13."""

from __future__ import annotations

import asyncio
import colorsys
import io
from functools import lru_cache

from PIL import Image, ImageDraw
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def broken(image_id: int) -> bool:
    """Which ids have no picture."""
    return image_id % 100 == 13


@lru_cache(2048)
def _jpeg(image_id: int, side: int) -> bytes:
    hue = image_id * 0.618 % 1
    color = tuple(int(255 * v) for v in colorsys.hsv_to_rgb(hue, 0.55, 0.85))
    width, height = (side, int(side * 0.66)) if image_id % 3 else (int(side * 0.66), side)
    image = Image.new("RGB", (width, height), color)
    ImageDraw.Draw(image).text((width // 3, height // 3), str(image_id), fill="black", font_size=side // 6)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=80)
    return data.getvalue()


async def _picture(request: Request) -> Response:
    image_id = int(request.path_params["image_id"])
    if broken(image_id):
        return Response("no picture", status_code=404)
    side = 256 if request.url.path.startswith("/thumb") else 768
    body = await asyncio.to_thread(_jpeg, image_id % 5000, side)
    return Response(body, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


ROUTES = [Route("/thumb/{image_id:int}", _picture), Route("/image/{image_id:int}", _picture)]
