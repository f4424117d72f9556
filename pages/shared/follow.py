"""A page that shows labels is drawn anew when another window has changed them."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from components.watch.face import watch
from engine.core.errors import KindredError
from engine.core.workspace import Workspace
from engine.labels.events import LabelHistory
from pages.shared.board import Board
from pages.shared.pictures import is_foreign


def follow(board: Board) -> None:
    """Draw the page anew when the labels are no longer those of the board."""
    watch("label_watch", address=f"/labels/{board.rows.dataset.id}/version", version=str(board.state.version))


def _version_of(dataset: str) -> str:
    return str(LabelHistory(Workspace.open(), dataset).version())


async def _version(request: Request) -> Response:
    """Serve the version of a data set's labels."""
    if is_foreign(request):
        return Response(status_code=403)
    try:
        version = await asyncio.to_thread(_version_of, str(request.path_params["dataset"]))
    except KindredError:
        return Response(status_code=404, headers={"Cache-Control": "no-store"})
    return PlainTextResponse(version, headers={"Cache-Control": "no-store"})


ROUTES = [Route("/labels/{dataset}/version", _version)]
