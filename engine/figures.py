"""Figures of a run as PNG and as interactive pages: the map by cluster beside the map by truth, and the sizes.

PNGs are drawn with Pillow, so that no plotting back end is needed; the interactive ones are Plotly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engine.files import replace_file, write_text
from engine.palette import category_color

_SIDE, _MARGIN, _SCALE = 640, 40, 2


def draw_maps(
    folder: Path,
    xy: NDArray[np.float32],
    labels: NDArray[np.int32],
    truth: NDArray[np.int32] | None,
    names: list[str],
    *,
    title: str,
) -> list[Path]:
    """Write map.png and map.html: coloured by cluster and, where truth is known, beside it by class.

    Parameters
    ----------
    xy : (n, 2) float32
    labels, truth : (n,) int32
        -1 is noise or unknown, drawn grey.
    names : list of str
        Of the classes.
    """
    panels = [(f"{title}: clusters", labels)] + ([("classes", truth)] if truth is not None else [])
    width = len(panels) * (_SIDE + _MARGIN) + _MARGIN
    picture = Image.new("RGB", (width * _SCALE, (_SIDE + 2 * _MARGIN) * _SCALE), "white")
    draw = ImageDraw.Draw(picture)
    low, high = xy.min(axis=0), xy.max(axis=0)
    place = (xy - low) / np.maximum(high - low, 1e-9)
    for at, (words, codes) in enumerate(panels):
        left, top = _MARGIN + at * (_SIDE + _MARGIN), _MARGIN
        draw.text((left * _SCALE, 10 * _SCALE), words, fill="#1D1F23", font=ImageFont.load_default(16 * _SCALE))
        spots = np.stack([left + place[:, 0] * _SIDE, top + (1 - place[:, 1]) * _SIDE], axis=1) * _SCALE
        radius = (2.5 if len(xy) < 5000 else 1.2) * _SCALE
        for (x, y), code in zip(spots.tolist(), codes.tolist(), strict=True):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=category_color(code))
    small = picture.resize((picture.width // _SCALE, picture.height // _SCALE), Image.Resampling.LANCZOS)
    replace_file(folder / "map.png", lambda file: small.save(file, "PNG", optimize=True))
    write_text(folder / "map.html", _interactive(xy, panels, names))
    return [folder / "map.png", folder / "map.html"]


def _interactive(xy: NDArray[np.float32], panels: list[tuple[str, NDArray[np.int32]]], names: list[str]) -> str:
    from plotly.subplots import make_subplots

    figure = make_subplots(cols=len(panels), subplot_titles=[words for words, _ in panels])
    for at, (words, codes) in enumerate(panels):
        shown = [
            (names[code] if words == "classes" and code < len(names) else f"cluster {code}") if code >= 0 else "none"
            for code in codes.tolist()
        ]
        figure.add_scattergl(
            x=xy[:, 0], y=xy[:, 1], mode="markers", text=shown, hoverinfo="text", showlegend=False,
            marker={"size": 4, "color": [category_color(code) for code in codes.tolist()]}, row=1, col=at + 1,
        )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return str(figure.to_html(include_plotlyjs=True, full_html=True))


def draw_sizes(folder: Path, labels: NDArray[np.int32]) -> list[Path]:
    """Write sizes.png and sizes.html: a bar for each cluster, largest first."""
    import plotly.graph_objects as go

    sizes = np.sort(np.bincount(labels[labels >= 0]))[::-1] if (labels >= 0).any() else np.zeros(0, int)
    sizes = sizes[sizes > 0]
    picture = Image.new("RGB", (900, 360), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(16)
    draw.text((40, 8), f"{len(sizes):,} clusters, largest {sizes.max(initial=0):,} images", fill="#1D1F23", font=font)
    step = 820 / max(1, len(sizes))
    for at, size in enumerate(sizes.tolist()):
        left, height = 40 + at * step, 280 * size / sizes[0]
        draw.rectangle((left, 330 - height, left + max(1.0, 0.85 * step), 330), fill="#2F6FED")
    replace_file(folder / "sizes.png", lambda file: picture.save(file, "PNG", optimize=True))
    page = go.Figure(go.Bar(y=sizes)).to_html(include_plotlyjs=True, full_html=True)
    write_text(folder / "sizes.html", str(page))
    return [folder / "sizes.png", folder / "sizes.html"]
