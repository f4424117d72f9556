"""Figures of a run as PNG and as interactive pages: the map by cluster beside the map by truth, and the sizes.

PNGs are Matplotlib's, drawn without a display and with a font that has Cyrillic, Greek and Arabic too; the
interactive ones are Plotly's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.core.files import replace_file, write_text
from engine.core.palette import category_color
from engine.core.progress import SILENT, Progress
from engine.core.workspace import Workspace
from engine.evaluation.agreement import match
from engine.geometry.projection import ProjectionSettings
from engine.runs.rows import Rows, align, load_rows, map_of, truth_codes
from engine.runs.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

DPI = 100
_SIDE, _MARGIN = 640, 40
_BLUE, _INK = "#2F6FED", "#1D1F23"


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
    width, height = len(panels) * (_SIDE + _MARGIN) + _MARGIN, _SIDE + 2 * _MARGIN
    picture = canvas(width, height)
    low, high = xy.min(axis=0), xy.max(axis=0)
    place = (xy - low) / np.maximum(high - low, 1e-9)
    diameter = (5 if len(xy) < 5000 else 2.4) * 72 / DPI  # pixels, in Matplotlib's points
    for at, (words, _, colors) in enumerate(panels):
        left = _MARGIN + at * (_SIDE + _MARGIN)
        axes = picture.add_axes(
            (left / width, _MARGIN / height, _SIDE / width, _SIDE / height), xlim=(0, 1), ylim=(0, 1)
        )
        shades = [category_color(code) for code in colors.tolist()]
        axes.scatter(place[:, 0], place[:, 1], s=diameter**2, c=shades, linewidths=0, clip_on=False)
        axes.axis("off")
        words = f"{title}: {words}" if at == 0 else words
        picture.text(left / width, 1 - 12 / height, words, va="top", color=_INK, size=11, parse_math=False)
    picture_path, page_path = folder / f"{name}.png", folder / f"{name}.html"
    save_png(picture_path, picture)
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
        words = [*told[at], "noise" if at == 0 else "unknown"]
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
    picture = canvas(900, 360)
    words = f"{len(sizes):,} clusters, largest {sizes.max(initial=0):,} images"
    picture.text(40 / 900, 1 - 10 / 360, words, va="top", color=_INK, size=11)
    if len(sizes):
        axes = picture.add_axes((40 / 900, 30 / 360, 820 / 900, 280 / 360), xlim=(0, len(sizes)), ylim=(0, sizes[0]))
        axes.bar(np.arange(len(sizes)), sizes, width=0.85, align="edge", color=_BLUE)
        axes.axis("off")
    save_png(folder / "sizes.png", picture)
    page = sizes_figure(labels).to_html(include_plotlyjs=True, full_html=True)
    write_text(folder / "sizes.html", str(page))
    return [folder / "sizes.png", folder / "sizes.html"]


def canvas(width: int, height: int) -> Canvas:
    """Return a white Matplotlib figure of so many pixels."""
    from matplotlib.figure import Figure as Canvas

    return Canvas((width / DPI, height / DPI), dpi=DPI, facecolor="white")


def save_png(path: Path, picture: Canvas) -> None:
    """Write a figure as PNG, atomically; letters that the font lacks become boxes."""
    with _quiet_font():
        replace_file(path, lambda file: picture.savefig(file, format="png"))


def text_width(text: str, size: float) -> float:
    """Return the pixels that a line takes in letters of `size` pixels."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    font.set_size(size * 72 / DPI, DPI)
    with _quiet_font():
        font.set_text(text)
    return float(font.get_width_height()[0]) / 64  # FreeType counts 64ths of a pixel


@contextmanager
def _quiet_font() -> Iterator[None]:
    """Silence the warnings about letters that the font lacks; names may be in any script."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
