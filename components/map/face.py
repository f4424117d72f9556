"""The Python face of the map: sends coordinates, colours and bitmasks in channels and resolves the drawn regions.

Coordinates, category codes and the highlight travel separately, so that a new colouring or a new highlight costs one
byte or one bit per point and never the geometry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import palette, transfer
from components.map.events import LegendEntry, MapEvent
from components.map.polygon import read_regions, select


@cache
def _component() -> Any:
    return st.components.v2.component(
        "kindred_map",
        html='<div class="k-map"></div>',
        css=transfer.asset("shared/theme.css") + transfer.asset("map/map.css"),
        js=transfer.asset("map/map.js"),
    )


def _memory(key: str) -> dict[str, Any]:
    memory: dict[str, Any] = st.session_state.setdefault(f"_kindred_map:{key}", {"nonce": 0})
    return memory


def focus_on_map(key: str, row: int) -> None:
    """Bring a point into view and ring it at the map's next drawing ("show on map").

    Parameters
    ----------
    key : str
        The map's key.
    row : int
        Row of the point in `xy`.
    """
    memory = _memory(key)
    memory["nonce"] += 1
    memory["command"] = {"nonce": memory["nonce"], "focus": int(row)}


def clear_map(key: str) -> None:
    """Remove the drawn regions at the map's next drawing.

    Parameters
    ----------
    key : str
        The map's key.
    """
    memory = _memory(key)
    memory["nonce"] += 1
    memory["command"] = {"nonce": memory["nonce"], "clear": True}
    memory["cleared_at"] = memory["nonce"]


def scatter_map(
    key: str,
    xy: NDArray[np.floating[Any]],
    *,
    version: str,
    ids: NDArray[np.integer[Any]] | None = None,
    colors: NDArray[Any] | None = None,
    colors_version: str = "",
    legend: Sequence[LegendEntry] = (),
    color_label: str = "",
    highlight: NDArray[np.bool_] | None = None,
    highlight_version: str = "",
    tool: str = "lasso",
    thumbnails: bool = True,
    height: int = 560,
    label: str = "Map of the images",
    empty: str = "There is no map yet.",
    empty_hint: str = "",
) -> MapEvent:
    """Show points on a WebGL map and return what was drawn, clicked and pinned.

    Parameters
    ----------
    key : str
        Unique key; the view, the tool and the regions are remembered under it.
    xy : ndarray of float, shape (n, 2)
        Coordinates; sent as float32 when `version` changes.
    version : str
        Names the content of `xy` and `ids`.
    ids : ndarray of int, shape (n,), or None
        Catalog ids for thumbnails; without them there are no pictures.
    colors : ndarray, shape (n,), or None
        Integers: category codes 0..65535 (code c is ``legend[c]``; -1 or a `noise` entry is grey).
        Floats: values, drawn on the sequential ramp from their smallest to their largest; NaN is grey.
    colors_version : str
        Names the content of `colors`; sent again only when it changes.
    legend : sequence of LegendEntry
        One per code, in code order. Empty shows no legend for categories.
    color_label : str
        What the colour means ("cluster", "confidence"), above the legend.
    highlight : ndarray of bool, shape (n,), or None
        The others turn grey at 15% opacity, and the legend counts "47 / 412". None highlights the drawn regions.
    highlight_version : str
        Names the content of `highlight`.
    tool : str
        ``pan``, ``lasso`` or ``box`` at first drawing.
    thumbnails : bool
        Whether pictures appear on hover and at density peaks.
    height : int
        Height of the drawing area in px.
    label : str
        What the map shows, for screen readers.
    empty, empty_hint : str
        What is shown when there are no points, and the next step.

    Returns
    -------
    MapEvent
        Resolved against `xy`.

    Raises
    ------
    ValueError
        If the arrays do not have the same length.
    """
    n = len(xy)
    for name, array in (("ids", ids), ("colors", colors), ("highlight", highlight)):
        if array is not None and len(array) != n:
            raise ValueError(f"{name} has {len(array)} rows, xy has {n}")
    memory = _memory(key)
    points = memory.get("points")
    if memory.get("version") != version or points is None:
        points = np.ascontiguousarray(xy, dtype=np.float32).reshape(-1, 2)
        memory.update(version=version, points=points, mask=None, made=None)
    before = st.session_state.get(key)
    drawn = _drawn(memory, before if isinstance(before, Mapping) else {}, version)
    if highlight is None and drawn is not None:
        highlight, highlight_version = drawn, f"regions:{memory['made']}"
    data: dict[str, Any] = {
        "key": key,
        "version": version,
        "n": n,
        "hasIds": ids is not None,
        "colors": colors_version if colors is not None else None,
        "colorLabel": color_label,
        "legend": [[e.name, e.color or palette.category_color(c), e.noise] for c, e in enumerate(legend)],
        "palette": list(palette.CATEGORIES),
        "noise": palette.NOISE,
        "ramp": list(palette.RAMP),
        "highlight": highlight_version if highlight is not None else None,
        "tool": tool,
        "thumbnails": bool(thumbnails and ids is not None),
        "height": int(height),
        "label": label,
        "empty": empty,
        "emptyHint": empty_hint,
        "command": memory.get("command"),
    }
    with st.container(gap=None):
        _publish(key, points, version, ids)
        if colors is not None:
            data["range"] = _publish_colors(key, memory, colors, colors_version)
        if highlight is not None:
            bits = np.packbits(highlight, bitorder="little")
            transfer.publish(f"{key}:highlight", highlight_version, {"bits": bits})
        result = _component()(
            key=key,
            data=data,
            on_regions_change=_ignore,
            on_pinned_change=_ignore,
            on_webgl_change=_ignore,
            on_clicked_change=_ignore,
            on_opened_change=_ignore,
            on_category_change=_ignore,
            on_cleared_change=_ignore,
        )
    return _event(memory, result, version, n)


def _ignore() -> None:
    """Streamlit names the values of a component by its callbacks."""


def _publish(key: str, points: NDArray[np.float32], version: str, ids: NDArray[np.integer[Any]] | None) -> None:
    arrays: dict[str, NDArray[Any]] = {"xy": points.ravel()}
    if ids is not None:
        arrays["ids"] = np.ascontiguousarray(ids, dtype=np.int32)
    transfer.publish(f"{key}:geometry", version, arrays)


def _publish_colors(key: str, memory: dict[str, Any], colors: NDArray[Any], version: str) -> list[float] | None:
    """Send category codes as they are, or values as 0..65534 of their range with 65535 for NaN."""
    if memory.get("colors_version") != version or "colors" not in memory:
        if np.issubdtype(colors.dtype, np.floating):
            finite = colors[np.isfinite(colors)]
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
            scale = 65534.0 / (high - low) if high > low else 0.0
            with np.errstate(invalid="ignore"):
                steps = np.where(np.isfinite(colors), (colors - low) * scale, 65535.0)
            memory.update(colors=steps.astype(np.uint16), range=[low, high])
        else:
            codes = np.where(colors < 0, 65535, np.minimum(colors, 65534)).astype(np.uint16)
            memory.update(colors=codes, range=None)
        memory["colors_version"] = version
    transfer.publish(f"{key}:colors", version, {"codes": memory["colors"]})
    value_range: list[float] | None = memory["range"]
    return value_range


def _drawn(memory: dict[str, Any], state: Mapping[str, Any], version: str) -> NDArray[np.bool_] | None:
    """Mask of the regions in the newest state, kept until they change."""
    payload = state.get("regions") or memory.get("payload")
    if not isinstance(payload, Mapping) or payload.get("v") != version:
        return None
    if int(payload.get("c", 0)) < memory.get("cleared_at", 0):
        return None
    memory["payload"] = payload
    regions = read_regions(payload)
    if not regions:
        return None
    if memory.get("made") != payload.get("t") or memory.get("mask") is None:
        memory.update(made=payload.get("t"), mask=select(regions, memory["points"]), regions=regions)
    mask: NDArray[np.bool_] = memory["mask"]
    return mask


def _row(value: object, n: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n else None


def _event(memory: dict[str, Any], result: Any, version: str, n: int) -> MapEvent:
    mask = _drawn(memory, {"regions": result.regions}, version)
    return MapEvent(
        regions=memory["regions"] if mask is not None else (),
        mask=mask,
        clicked=_row(result.clicked, n),
        pinned=_row(result.pinned, n),
        opened=_row(result.opened, n),
        category=result.category if isinstance(result.category, int) else None,
        cleared=bool(result.cleared),
        webgl=result.webgl is not False,
    )
