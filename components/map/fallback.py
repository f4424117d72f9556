"""The map without WebGL: a plotly chart of at most 20,000 points that reports the same regions.

Plotly sends every selected point back, so the chart shows a sample; the regions are applied to all points in Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.map.colors import MISSING, Coloring
from components.map.events import LegendEntry, MapEvent
from components.map.polygon import read_regions, select
from engine.core import palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_POINTS = 20_000


def sample_rows(n: int, most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Return the rows the chart shows: all of them, or an even sample, the same at every call.

    Parameters
    ----------
    n : int
    most : int
    """
    return np.arange(n, dtype=np.int64) if n <= most else np.linspace(0, n - 1, most).astype(np.int64)


def point_colors(coloring: Coloring | None, legend: Sequence[LegendEntry], rows: NDArray[np.int64]) -> list[str]:
    """Return one hex colour per row, as the WebGL map would colour it.

    Parameters
    ----------
    coloring : Coloring or None
    legend : sequence of LegendEntry
    rows : ndarray of int, shape (m,)
    """
    if coloring is None:
        return [palette.CATEGORIES[0]] * len(rows)
    codes = coloring.codes[rows].astype(np.int64)
    if coloring.low is not None:
        table = np.array([*palette.RAMP, palette.NOISE])
        steps = np.minimum(codes * len(palette.RAMP) // MISSING, len(palette.RAMP) - 1)
        return list(table[np.where(codes == MISSING, len(palette.RAMP), steps)])
    known, places = np.unique(codes, return_inverse=True)
    table = np.array([_category(int(code), legend) for code in known])
    return list(table[places])


def _category(code: int, legend: Sequence[LegendEntry]) -> str:
    entry = legend[code] if code < len(legend) else None
    if code == MISSING or (entry is not None and entry.noise):
        return palette.NOISE
    return (entry.color if entry is not None else None) or palette.category_color(code)


def plotly_map(
    key: str,
    memory: dict[str, Any],
    *,
    ids: NDArray[np.integer[Any]] | None,
    coloring: Coloring | None,
    legend: Sequence[LegendEntry],
    label: str,
    highlight: NDArray[np.bool_] | None,
    height: int,
) -> MapEvent:
    """Draw the chart and return the same event as the WebGL map.

    Parameters
    ----------
    key : str
        The map's key.
    memory : dict
        From `components.map.face.map_memory`, with ``points`` and ``version``.
    ids, coloring, legend, label, highlight, height
        As in `scatter_map`.
    """
    points: NDArray[np.float32] = memory["points"]
    rows = sample_rows(len(points))
    mask = memory.get("mask") if highlight is None else highlight
    figure = _figure(points[rows], rows, ids, point_colors(coloring, legend, rows), mask, height)
    for region in memory.get("regions") or () if mask is not None else ():
        outline = "M" + "L".join(f"{x},{y}" for x, y in region.polygon) + "Z"
        figure.add_shape(type="path", path=outline, line={"color": palette.CATEGORIES[0], "width": 1.5})
    shown = f"{len(points):,} points" if len(rows) == len(points) else f"{len(rows):,} of {len(points):,} points"
    st.caption(f"{shown}{f', by {label}' if label else ''}. This browser has no WebGL: a simpler chart is shown.")
    if st.button("Clear the selection", key=f"{key}#clear", disabled=memory.get("mask") is None):
        memory.update(regions=(), mask=None, turn=memory.get("turn", 0) + 1)
        st.rerun()
    state = st.plotly_chart(
        figure,
        key=f"{key}#plotly{memory.get('turn', 0)}",
        on_select="rerun",
        selection_mode=("lasso", "box", "points"),
    )
    return _read(memory, state.get("selection") if isinstance(state, Mapping) else None, len(points))


def _figure(
    xy: NDArray[np.float32],
    rows: NDArray[np.int64],
    ids: NDArray[np.integer[Any]] | None,
    colors: list[str],
    mask: NDArray[np.bool_] | None,
    height: int,
) -> Figure:
    import plotly.graph_objects as go

    lit = np.ones(len(rows), dtype=bool) if mask is None else mask[rows]
    trace = go.Scatter(
        x=xy[:, 0],
        y=xy[:, 1],
        mode="markers",
        customdata=rows,
        text=None if ids is None else [f"image {i}" for i in ids[rows]],
        hoverinfo="none" if ids is None else "text",
        marker={
            "size": 5,
            "color": list(np.where(lit, np.array(colors, dtype=object), palette.NOISE)) if len(rows) else [],
            "opacity": np.where(lit, 0.85, 0.15),
        },
        selected={"marker": {"opacity": 0.85}},
        unselected={"marker": {"opacity": 0.15}},
    )
    figure = go.Figure(trace)
    figure.update_layout(height=height, dragmode="lasso", showlegend=False, margin={"l": 0, "r": 0, "t": 0, "b": 0})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    return figure


def regions_of(selection: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Turn plotly's selection into the map's regions; several shapes are joined.

    Parameters
    ----------
    selection : mapping or None
        ``{"lasso": [{"x": [...], "y": [...]}], "box": [{"x": [x0, x1], "y": [y0, y1]}], "points": [...]}``.
    """
    found: list[dict[str, Any]] = []
    for kind in ("lasso", "box"):
        for shape in (selection or {}).get(kind) or []:
            x, y = list(shape.get("x", [])), list(shape.get("y", []))
            if kind == "box" and len(x) == 2 and len(y) == 2:
                x, y = [x[0], x[1], x[1], x[0]], [y[0], y[0], y[1], y[1]]
            corners = [float(v) for pair in zip(x, y, strict=False) for v in pair]
            found.append({"kind": kind, "op": "add" if found else "new", "polygon": corners})
    return found


def _read(memory: dict[str, Any], selection: Mapping[str, Any] | None, n: int) -> MapEvent:
    regions = read_regions({"regions": regions_of(selection)})
    if regions and repr(regions) != memory.get("plotly_regions"):
        memory.update(regions=regions, mask=select(regions, memory["points"]), plotly_regions=repr(regions))
        memory["turn"] = memory.get("turn", 0) + 1
        st.rerun()
    points = (selection or {}).get("points") or []
    pinned = None
    if not regions and len(points) == 1:
        row = points[0].get("customdata")
        row = row[0] if isinstance(row, list) and row else row
        pinned = int(row) if isinstance(row, (int, float)) and 0 <= row < n else None
    clicked = pinned if pinned != memory.get("plotly_pinned") else None
    memory["plotly_pinned"] = pinned
    mask = memory.get("mask")
    had, memory["had_regions"] = memory.get("had_regions", False), mask is not None
    return MapEvent(
        regions=memory.get("regions", ()) if mask is not None else (),
        mask=mask,
        clicked=clicked,
        pinned=pinned,
        cleared=had and mask is None,
        webgl=False,
    )
