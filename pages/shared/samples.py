"""The sample sets of the first screen: their pictures, making them ready in the background, opening one by a click."""

from __future__ import annotations

import asyncio
import io
import os
from functools import lru_cache

import streamlit as st
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.core.workspace import Workspace
from engine.images.datasets import add_benchmark, list_datasets
from engine.images.decode import decode_rgb
from engine.images.sets.registry import SAMPLES, find_benchmark, open_benchmark
from engine.jobs import job as jobs
from engine.runs.run import list_runs
from pages.shared.pictures import is_foreign
from pages.shared.state import choose
from pages.shared.tasks import start_job

_COLUMNS, _ROWS, _CELL = 4, 3, 120
_OFF = "KINDRED_SAMPLES"  # "off": nothing is made ready before it is asked for


def prepare_in_background(workspace: Workspace) -> None:
    """Make the sample sets ready at the lowest priority, once, in a workspace that holds nothing yet.

    Where a person's images are known already, the sets are made ready only when one is opened: that person knows the
    app, and the machine has better things to do.
    """
    if os.environ.get(_OFF, "").lower() == "off" or list_datasets(workspace):
        return
    if any(job.task == "samples" for job in jobs.list_jobs(workspace)):
        return
    config = {"sets": list(SAMPLES), "quietly": True, "dataset": {}}
    jobs.start(workspace, jobs.create(workspace.jobs, "samples", "Preparing the sample sets", config))


def open_sample(workspace: Workspace, name: str) -> None:
    """Go to Explore with a sample set; where it is not ready it is made ready at once, before the others."""
    dataset = add_benchmark(workspace, name)
    runs = list_runs(workspace, dataset.id)
    if not runs:
        for job in jobs.list_jobs(workspace):
            if job.task == "samples" and job.active:
                jobs.cancel(job.folder)
                jobs.dismiss(job.folder)
        start_job(workspace, "samples", f"Preparing {dataset.name}", dataset, sets=[name])
    choose(data=dataset.id)
    st.session_state["adding"] = False
    parameters = {"data": dataset.id} | ({"run": runs[0].folder.name} if runs else {})
    st.switch_page("pages/explore/page.py", query_params=parameters)


@lru_cache(maxsize=len(SAMPLES))
def _picture(name: str) -> bytes:
    """Return twelve images spread over a set as one picture."""
    source = open_benchmark(name, None)
    names = [entry.name for entry in source.entries()]
    places = _COLUMNS * _ROWS
    canvas = Image.new("RGB", (_COLUMNS * _CELL, _ROWS * _CELL))
    for place in range(places):
        image = decode_rgb(source.read(names[(2 * place + 1) * len(names) // (2 * places)]))
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((_CELL - 2, _CELL - 2))
        canvas.paste(image, (place % _COLUMNS * _CELL, place // _COLUMNS * _CELL))
    buffer = io.BytesIO()
    canvas.save(buffer, "WEBP", quality=82)
    return buffer.getvalue()


async def _sample(request: Request) -> Response:
    """Serve the picture of a sample set."""
    name = str(request.path_params["name"])
    if is_foreign(request):
        return Response(status_code=403)
    if name not in SAMPLES:
        return Response(status_code=404)
    headers = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
    return Response(await asyncio.to_thread(_picture, name), media_type="image/webp", headers=headers)


def sample_titles() -> dict[str, tuple[str, str]]:
    """Return title and sentence of each sample set."""
    return {name: (find_benchmark(name).title, find_benchmark(name).sentence) for name in SAMPLES}


ROUTES = [Route("/sample/{name}", _sample)]
