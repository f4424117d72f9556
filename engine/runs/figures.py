"""Figures of a run as PNG and as interactive pages: the map by cluster beside the map by truth, and the sizes.

PNGs are drawn with Pillow, so that no plotting back end is needed; the interactive ones are Plotly.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engine.core.files import replace_file, write_text
from engine.core.palette import category_color
from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.evaluation.agreement import match
from engine.geometry.projection import ProjectionSettings
from engine.runs.rows import Rows, align, load_rows, map_of, truth_codes
from engine.runs.run import Run

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SIDE, _MARGIN, _SCALE = 640, 40, 2
_BLUE = "#2F6FED"


def draw_run(
    workspace: Workspace, run: Run, rows: Rows, kind: str = "umap", *, progress: Progress = SILENT
) -> list[Path]:
    """Write a run's figures: the map by cluster beside truth, and the cluster sizes.

    A run that trained a network is drawn in the space that it learned.
    """
    if "trained_embedding" in run.config:
        rows = load_rows(workspace, run.dataset, str(run.config["trained_embedding"]))
    labels, _ = align(run, rows)
    xy = map_of(workspace, rows, ProjectionSettings.parse({"kind": kind}), progress=progress)
    truth = truth_codes(rows.truth)
    names = sorted({name for name in rows.truth if name is not None})
    folder = run.folder / "figures"
    maps = draw_maps(folder, xy, labels, truth, names, title=run.name, name=f"map_{kind}")
    return [*maps, *draw_sizes(folder, labels)]


def draw_maps(
    folder: Path,
    xy: NDArray[np.float32],
    labels: NDArray[np.int32],
    truth: NDArray[np.int32] | None,
    names: list[str],
    *,
    title: str,
    name: str = "map",
) -> list[Path]:
    """Write <name>.png and <name>.html: coloured by cluster and, where truth is known, beside it by class.

    Parameters
    ----------
    xy : (n, 2) float32
    labels, truth : (n,) int32
        -1 is noise or unknown, drawn grey. A cluster has the colour of the class it is matched to.
    names : list of str
        Of the classes.
    name : str
        Of the files; one for each kind of map, so that they lie side by side.
    """
    panels = _panels(labels, truth)
    width = len(panels) * (_SIDE + _MARGIN) + _MARGIN
    picture = Image.new("RGB", (width * _SCALE, (_SIDE + 2 * _MARGIN) * _SCALE), "white")
    draw = ImageDraw.Draw(picture)
    low, high = xy.min(axis=0), xy.max(axis=0)
    place = (xy - low) / np.maximum(high - low, 1e-9)
    for at, (words, _, colors) in enumerate(panels):
        left, top = _MARGIN + at * (_SIDE + _MARGIN), _MARGIN
        words = f"{title}: {words}" if at == 0 else words
        draw.text((left * _SCALE, 10 * _SCALE), words, fill="#1D1F23", font=ImageFont.load_default(16 * _SCALE))
        spots = np.stack([left + place[:, 0] * _SIDE, top + (1 - place[:, 1]) * _SIDE], axis=1) * _SCALE
        radius = (2.5 if len(xy) < 5000 else 1.2) * _SCALE
        for (x, y), code in zip(spots.tolist(), colors.tolist(), strict=True):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=category_color(code))
    small = picture.resize((picture.width // _SCALE, picture.height // _SCALE), Image.Resampling.LANCZOS)
    picture_path, page_path = folder / f"{name}.png", folder / f"{name}.html"
    replace_file(picture_path, lambda file: small.save(file, "PNG", optimize=True))
    page = map_figure(xy, labels, truth, names).to_html(include_plotlyjs=True, full_html=True)
    write_text(page_path, str(page))
    return [picture_path, page_path]


def map_figure(
    xy: NDArray[np.float32], labels: NDArray[np.int32], truth: NDArray[np.int32] | None, names: list[str]
) -> Figure:
    """Return the interactive map: by cluster and, where truth is known, beside it by class.

    Parameters
    ----------
    xy, labels, truth, names
        As in `draw_maps`; names are shown as text, whatever they hold.
    """
    from plotly.subplots import make_subplots

    panels = _panels(labels, truth)
    figure = make_subplots(cols=len(panels), subplot_titles=[words for words, _, _ in panels], horizontal_spacing=0.02)
    clusters = [f"cluster {code}" for code in range(int(labels.max(initial=-1)) + 1)]
    told = [clusters, [escape(name, quote=False) for name in names]]
    for at, (_, codes, colors) in enumerate(panels):
        words = [*told[at], "set aside" if at == 0 else "unknown"]
        figure.add_scattergl(
            x=xy[:, 0],
            y=xy[:, 1],
            mode="markers",
            text=[words[code] for code in codes.tolist()],
            hoverinfo="text",
            showlegend=False,
            marker={"size": 4, "color": [category_color(code) for code in colors.tolist()]},
            row=1,
            col=at + 1,
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    if len(panels) > 1:
        figure.update_xaxes(matches="x")
        figure.update_yaxes(matches="y")
    return figure


def _panels(
    labels: NDArray[np.int32], truth: NDArray[np.int32] | None
) -> list[tuple[str, NDArray[np.int32], NDArray[np.int32]]]:
    """Return (title, codes, colour codes) of each panel; a cluster has the colour of the class it is matched to."""
    if truth is None:
        return [("clusters", labels, labels)]
    n_classes = int(truth.max(initial=-1)) + 1
    clusters = np.arange(int(labels.max(initial=-1)) + 1, dtype=np.int32)
    color = np.append(n_classes + clusters, -1).astype(np.int32)
    for cluster, matched in match(truth, labels).items():
        color[cluster] = matched
    return [("clusters", labels, color[labels]), ("classes", truth, truth)]


def sizes_figure(labels: NDArray[np.int32]) -> Figure:
    """Return the interactive bars: one for each cluster, largest first, its number shown on hover."""
    import plotly.graph_objects as go

    counts = np.bincount(labels[labels >= 0])
    order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
    bars = go.Bar(
        y=counts[order],
        customdata=order,
        marker_color=_BLUE,
        hovertemplate="cluster %{customdata}: %{y:,} images<extra></extra>",
    )
    return go.Figure(bars, {"xaxis": {"visible": False}, "yaxis": {"title": "images"}, "bargap": 0.15})


def draw_sizes(folder: Path, labels: NDArray[np.int32]) -> list[Path]:
    """Write sizes.png and sizes.html: a bar for each cluster, largest first."""
    sizes = np.sort(np.bincount(labels[labels >= 0]))[::-1] if (labels >= 0).any() else np.zeros(0, int)
    sizes = sizes[sizes > 0]
    picture = Image.new("RGB", (900, 360), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(16)
    draw.text((40, 8), f"{len(sizes):,} clusters, largest {sizes.max(initial=0):,} images", fill="#1D1F23", font=font)
    step = 820 / max(1, len(sizes))
    for at, size in enumerate(sizes.tolist()):
        left, height = 40 + at * step, 280 * size / sizes[0]
        draw.rectangle((left, 330 - height, left + max(1.0, 0.85 * step), 330), fill=_BLUE)
    replace_file(folder / "sizes.png", lambda file: picture.save(file, "PNG", optimize=True))
    page = sizes_figure(labels).to_html(include_plotlyjs=True, full_html=True)
    write_text(folder / "sizes.html", str(page))
    return [folder / "sizes.png", folder / "sizes.html"]
