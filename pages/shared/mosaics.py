"""Mosaics: many small pictures as one, of named images or of the largest clusters of a clustering, by one request.

A page writes addresses only; which images stand for a clustering is found in the server's threads when the browser
asks, so that no page waits for its own thumbnails.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.core.errors import KindredError
from engine.core.files import read_json
from engine.core.ids import Ids, from_hex, positions
from engine.core.workspace import Workspace
from engine.images.tables import load_images
from engine.images.thumbnails import thumbnail
from engine.runs.run import Run, find_run
from engine.selection.sweep.report import SUMMARY, load_sweep
from pages.shared.pictures import asked_ids, is_foreign

MOST = 60  # pictures in one mosaic
_GAP = 4  # pixels between them; two of the screen, because a mosaic is made twice as large as it is shown
_MANY = 0.35  # how far many pictures count against full cells
_TRIMMED = 0.2  # so much of a picture may be cut off for the sake of a full cell
_GROUND = (128, 128, 128, 31)  # quiet on light and dark
_WIDEST, _HIGHEST = 2400, 1200
_CLUSTERS = 18  # that stand for a clustering
_KEEP = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=31536000, immutable",
}


def mosaic_of(ids: Iterable[int], *, width: int = 560, height: int = 280) -> str:
    """Return the address of a picture that holds these images, whole or nearly, in rows without a gap in them.

    Parameters
    ----------
    ids : iterable of int
        Catalog ids, those to be shown first at the front; at most `MOST` are used.
    width, height : int
        Pixels of the picture, twice those that it is shown with.
    """
    return f"/mosaic/{width}x{height}/" + "-".join(str(int(image)) for image in list(ids)[:MOST])


def mosaic_of_run(run: Run) -> str:
    """Return the address of a mosaic that shows one image of each of the largest clusters of a kept run."""
    return f"/looks/run/{quote(run.folder.name, safe='')}?made={run.created:.3f}"


def mosaic_of_rank(job: Path, rank: int) -> str:
    """Return the address of a mosaic of a sweep's rank; `job` is the sweep's folder."""
    return f"/looks/rank/{quote(job.name, safe='')}/{rank}?made={(job / SUMMARY).stat().st_mtime:.3f}"


def mosaic_of_candidate(job: Path, key: str) -> str:
    """Return the address of a mosaic of a candidate that a running sweep has tried."""
    return f"/looks/candidate/{quote(job.name, safe='')}/{quote(key, safe='')}"


def arrange(count: int, aspect: float, ratio: float) -> tuple[int, int]:
    """Return (rows, columns) of a grid that pictures fill to the last cell.

    Parameters
    ----------
    count : int
        Pictures at hand, at least 1.
    aspect : float
        Width over height of a usual one.
    ratio : float
        Width over height of the whole.
    """
    best, worth = (1, 1), 0.0
    for rows in range(1, count + 1):
        for columns in range(1, count // rows + 1):
            cell = ratio * rows / columns
            filled = min(cell / aspect, aspect / cell)  # of a cell by a whole picture
            if filled * (rows * columns) ** _MANY > worth:
                best, worth = (rows, columns), filled * (rows * columns) ** _MANY
    return best


def compose(pictures: Sequence[bytes], width: int, height: int) -> bytes:
    """Return a WebP of some pictures (JPEG or PNG) side by side and below each other, each trimmed a little at most."""
    canvas = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    opened = [Image.open(io.BytesIO(data)) for data in pictures]
    if opened:
        aspect = float(np.clip(np.median([one.width / one.height for one in opened]), 0.5, 2.0))
        rows, columns = arrange(len(opened), aspect, width / height)
        xs = np.rint(np.linspace(0, width + _GAP, columns + 1)).astype(int)
        ys = np.rint(np.linspace(0, height + _GAP, rows + 1)).astype(int)
        for at, one in enumerate(opened[: rows * columns]):
            row, column = divmod(at, columns)
            x, y = int(xs[column]), int(ys[row])
            cell = int(xs[column + 1]) - _GAP - x, int(ys[row + 1]) - _GAP - y
            canvas.paste(_GROUND, (x, y, x + cell[0], y + cell[1]))
            shown = _fitted(one, cell)
            canvas.paste(shown, (x + (cell[0] - shown.width) // 2, y + (cell[1] - shown.height) // 2))
    buffer = io.BytesIO()
    canvas.save(buffer, "WEBP", quality=80, method=0)
    return buffer.getvalue()


def _fitted(picture: Image.Image, cell: tuple[int, int]) -> Image.Image:
    """Return a picture that fits a cell: filling it where little is lost, else whole."""
    whole = min(cell[0] / picture.width, cell[1] / picture.height)
    full = max(cell[0] / picture.width, cell[1] / picture.height)
    fills = whole / full >= 1 - _TRIMMED
    scale = full if fills else whole
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    drawn = picture.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    if not fills:
        return drawn
    left, top = (size[0] - cell[0]) // 2, (size[1] - cell[1]) // 2
    return drawn.crop((left, top, left + min(cell[0], size[0]), top + min(cell[1], size[1])))


def surest(labels: NDArray[np.int32], confidence: NDArray[np.float32], *, most: int = _CLUSTERS) -> NDArray[np.int64]:
    """Return rows that stand for a clustering: of each of the largest clusters those of which the method is surest.

    Parameters
    ----------
    labels : (n,) int32
        -1 is noise.
    confidence : (n,) float32
        NaN where it is not known.
    most : int
        How many rows at most; where there are few clusters, each has several.

    Returns
    -------
    (m,) int64
        First one row of each cluster, the largest cluster first, then the next of each.
    """
    sizes = np.bincount(labels[labels >= 0])
    wanted = np.argsort(-sizes, kind="stable")[:most]
    wanted = wanted[sizes[wanted] > 0]
    each = max(1, most // max(1, len(wanted)))
    sure = np.nan_to_num(confidence, nan=-np.inf)
    found: list[tuple[int, int, int]] = []  # which of its cluster's, in which order, row
    for cluster in wanted:
        members = np.flatnonzero(labels == cluster)
        best = members[np.argsort(-sure[members], kind="stable")[:each]]
        found += [(turn, len(found), int(row)) for turn, row in enumerate(best)]
    return np.array([row for _, _, row in sorted(found)][:most], np.int64)


def _ids_in(workspace: Workspace, dataset: str, contents: Ids) -> list[int]:
    table = load_images(workspace, dataset)
    at = positions(table.contents, contents)
    return [int(table.ids[row]) for row in at if row >= 0]


def _of_run(workspace: Workspace, name: str) -> list[int]:
    run = find_run(workspace, name)
    with np.load(run.folder / "predictions.npz", allow_pickle=False) as arrays:  # only what is needed, no paths
        labels = arrays["assignments"].astype(np.int32)
        sure = arrays["confidence"] if "confidence" in arrays.files else np.full(len(labels), np.nan, np.float32)
        names = arrays["contents" if "contents" in arrays.files else "ids"][surest(labels, sure)].tolist()
    try:
        return _ids_in(workspace, run.dataset, from_hex(names))
    except ValueError:  # ids of vectors without images
        return []


def _job(workspace: Workspace, name: str) -> Path | None:
    """Return the folder of a job by its name; never a path outside the jobs."""
    folder = workspace.jobs / name
    return folder if Path(name).name == name and folder.is_dir() else None


def _dataset_of(folder: Path) -> str:
    return str(read_json(folder / "config.json").get("dataset", {}).get("id", ""))


def _of_rank(workspace: Workspace, name: str, rank: int) -> list[int]:
    folder = _job(workspace, name)
    if folder is None:
        return []
    result = load_sweep(folder)
    row = next((row for row in result.ranked if row.rank == rank), None)
    if row is None:
        return []
    rows = surest(result.labels(row), result.confidence(row))
    return _ids_in(workspace, _dataset_of(folder), np.load(folder / "contents.npy", allow_pickle=False)[rows])


def _of_candidate(workspace: Workspace, name: str, key: str) -> list[int]:
    folder = _job(workspace, name)
    path = None if folder is None or not key.isalnum() else folder / "work" / "candidates" / f"{key}.npy"
    if folder is None or path is None or not path.exists():
        return []
    labels = np.load(path, allow_pickle=False)
    contents = np.load(folder / "contents.npy", allow_pickle=False)
    if len(labels) != len(contents):
        return []
    sure = path.with_name(f"{key}-confidence.npy")
    confidence = np.load(sure, allow_pickle=False) if sure.exists() else np.full(len(labels), np.nan, np.float32)
    return _ids_in(workspace, _dataset_of(folder), contents[surest(labels, confidence)])


def _drawn(workspace: Workspace, ids: Iterable[int], width: int, height: int) -> bytes:
    found = (thumbnail(workspace, image) for image in ids)
    return compose([data for data in found if data is not None], width, height)


async def _mosaic(request: Request) -> Response:
    """Serve some images by their ids as one picture."""
    ids = asked_ids(str(request.path_params["ids"]), MOST)
    size = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", str(request.path_params["size"]))
    if ids is None or size is None:
        return Response(status_code=404)
    width, height = int(size[1]), int(size[2])
    if not 0 < width <= _WIDEST or not 0 < height <= _HIGHEST:
        return Response(status_code=404)
    return await _answer(request, lambda workspace: ids, width, height)


async def _looks(request: Request) -> Response:
    """Serve what the largest clusters of a run, a rank or a candidate look like."""
    asked = request.path_params

    def ids(workspace: Workspace) -> list[int]:
        if "run" in asked:
            return _of_run(workspace, str(asked["run"]))
        if "rank" in asked:
            return _of_rank(workspace, str(asked["job"]), int(asked["rank"]))
        return _of_candidate(workspace, str(asked["job"]), str(asked["key"]))

    return await _answer(request, ids, 360, 180)


async def _answer(
    request: Request,
    ids: Callable[[Workspace], list[int]],
    width: int,
    height: int,
) -> Response:
    if is_foreign(request):
        return Response(status_code=403)
    try:
        data = await asyncio.to_thread(_made, ids, width, height)
    except (KindredError, OSError, ValueError, KeyError, BadZipFile):
        data = None
    if data is None:
        return Response(status_code=404, headers={"Cache-Control": "no-store"})
    return Response(data, media_type="image/webp", headers=_KEEP)


def _made(ids: Callable[[Workspace], list[int]], width: int, height: int) -> bytes | None:
    workspace = Workspace.open()
    found = ids(workspace)
    return _drawn(workspace, found, width, height) if found else None


ROUTES = [
    Route("/mosaic/{size}/{ids}", _mosaic),
    Route("/looks/run/{run}", _looks),
    Route("/looks/rank/{job}/{rank:int}", _looks),
    Route("/looks/candidate/{job}/{key}", _looks),
]
