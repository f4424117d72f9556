"""The route that answers the command palette: clusters, labels and images of one data set by a piece of their names."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from components.palette.face import Entry, Group
from engine.core.errors import KindredError
from engine.core.workspace import Workspace
from engine.embeddings.configurations import list_configurations
from engine.images.datasets import Dataset, find_dataset
from engine.images.sources import shown
from engine.images.tables import find_images
from engine.labels.state import LabelState
from engine.runs.run import find_run
from pages.shared.board import history_of, open_board
from pages.shared.pictures import is_foreign
from pages.shared.state import Current
from pages.shared.words import count

_MOST = 20
_LONGEST = 200  # letters of a text


def _state(workspace: Workspace, dataset: Dataset, run: str) -> LabelState | None:
    """Return the labels on a clustering, as a page has them or opened as a page would; None where there is no run."""
    if not run:
        return None
    known = history_of(workspace, dataset).kept_state(run)
    if known is not None:
        return known
    configurations = [item for item in list_configurations(workspace, dataset.id) if item.have]
    chosen = find_run(workspace, run)
    made_with = chosen.config.get("embedding", {}).get("config_key")
    configuration = next((item for item in configurations if item.key == made_with), None)
    board = open_board(Current(workspace, dataset, configurations, configuration, [chosen], chosen))
    return None if board is None else board.state


def answer(workspace: Workspace, dataset_id: str, run: str, text: str) -> list[Group]:
    """Return what is called something like `text`: at most 20 lines of a kind, never all names."""
    groups: list[Group] = []
    dataset = find_dataset(workspace, dataset_id)
    state = _state(workspace, dataset, run)
    if state is not None:
        named = [
            (state.title(cluster.id), cluster)
            for cluster in state.clusters
            if text.casefold() in state.title(cluster.id).casefold()
        ]
        named.sort(key=lambda pair: (not pair[0].casefold().startswith(text.casefold()), -pair[1].size))
        lines: list[Entry] = [
            {"kind": "cluster", "value": str(cluster.id), "title": title, "hint": count(cluster.size, "image")}
            for title, cluster in named[:_MOST]
        ]
        groups.append({"title": "Clusters", "entries": lines})
        labels = [name for name in state.label_names if text.casefold() in name.casefold()]
        labels.sort(key=lambda name: (not name.casefold().startswith(text.casefold()), name.casefold()))
        groups.append(
            {
                "title": "Images with the label",
                "entries": [{"kind": "label", "value": name, "title": name} for name in labels[:_MOST]],
            }
        )
    images = find_images(workspace, dataset.id, text, limit=_MOST)
    pictures: list[Entry] = []
    for image, path in images:
        folder, _, name = shown(path).rpartition("/")
        line: Entry = {"kind": "image", "value": str(image), "title": name, "hint": folder}
        pictures.append(line if dataset.kind == "vectors" else line | {"picture": f"/thumb/{image}"})
    groups.append({"title": "Images", "entries": pictures})
    return [group for group in groups if group["entries"]]


async def _find(request: Request) -> Response:
    """Serve the lines for a text."""
    if is_foreign(request):
        return Response(status_code=403)
    asked: dict[str, Any] = {name: str(request.query_params.get(name, ""))[:_LONGEST] for name in ("run", "text")}
    dataset = str(request.path_params["dataset"])
    try:
        found = await asyncio.to_thread(answer, Workspace.open(), dataset, asked["run"], asked["text"].strip())
    except KindredError:
        return Response(status_code=404, headers={"Cache-Control": "no-store"})
    return JSONResponse(found, headers={"Cache-Control": "no-store"})


ROUTES = [Route("/find/{dataset}", _find)]
