"""The Python face of the map: sends coordinates, colours and bitmasks in channels and resolves the drawn regions.

Coordinates, category codes and the highlight travel separately, so that a new colouring or a new highlight costs two
bytes or one bit per point and never the geometry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import transfer
from components.actions import DEFAULT_KEYS, Action, fresh_actions, take
from components.map.colors import Coloring, encode_colors
from components.map.events import LegendEntry, MapEvent
from components.map.polygon import Region, read_regions, select
from components.workbench.protocol import MapMessage, MapTool
from engine.core import palette

STATES = ("regions", "pinned", "webgl")


@cache
def _component() -> Callable[..., Mapping[str, Any]]:
    return transfer.component("map")


def map_memory(key: str) -> dict[str, Any]:
    """Return what is remembered for a map in this session: points, regions, mask, orders of Python.

    Parameters
    ----------
    key : str
        The map's key.
    """
    memory: dict[str, Any] = st.session_state.setdefault(
        f"_kindred_map:{key}", {"nonce": 0, "colorings": {}, "inbox": []}
    )
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
    memory = map_memory(key)
    memory["nonce"] += 1
    memory["command"] = {"nonce": memory["nonce"], "focus": int(row)}


def clear_map(key: str) -> None:
    """Remove the drawn regions at the map's next drawing.

    Parameters
    ----------
    key : str
        The map's key.
    """
    memory = map_memory(key)
    memory["nonce"] += 1
    memory["command"] = {"nonce": memory["nonce"], "clear": True}
    memory.update(payload=None, mask=None, made=None, cleared_at=memory["nonce"])


def draw_on_map(key: str, version: str, regions: Sequence[Mapping[str, Any]]) -> None:
    """Draw shapes at the map's next drawing, as if the person had drawn them; nothing where that person drew already.

    Parameters
    ----------
    key : str
        The map's key.
    version : str
        The version of the coordinates that the shapes were drawn on.
    regions : sequence of mapping
        From `write_regions`.
    """
    memory = map_memory(key)
    if "payload" in memory:
        return
    memory["nonce"] += 1
    memory["command"] = {"nonce": memory["nonce"], "version": version, "regions": list(regions)}
    memory["payload"] = {"v": version, "c": memory["nonce"], "t": 0, "regions": list(regions)}


@dataclass(frozen=True, kw_only=True)
class MapPane:
    """What a map shows.

    Attributes
    ----------
    xy : ndarray of float, shape (n, 2)
        Coordinates; sent as float32 when `version` changes. A point that is not finite is not shown.
    version : str
        Names the content of `xy` and `ids`.
    ids : ndarray of int, shape (n,), or None
        Catalog ids for thumbnails; without them there are no pictures.
    colors : ndarray, shape (n,), or None
        Integers: category codes 0..65534 (code c is ``legend[c]``; -1 or a `noise` entry is grey).
        Floats: values, drawn on the sequential ramp from their smallest to their largest; NaN is grey.
    colors_version : str
        Names the content of `colors`; sent again only when it changes. Without it the content is hashed at every run.
    legend : sequence of LegendEntry
        One per code, in code order. Empty shows no legend for categories.
    color_label : str
        What the colour means ("cluster", "confidence"), above the legend.
    colorings : mapping of str to str or None
        Other things to colour by (value to title; action ``color`` with the value in `Action.text`).
    names : bool
        Write the names of the categories on the map.
    outlines : bool
        Show the outlines of what was drawn; without them they come back later.
    note : str
        What should be known of the map, such as that a better one is being made.
    highlight : ndarray of bool, shape (n,), or None
        The others turn grey at 15% opacity, and the legend counts "47 / 412". None highlights the drawn regions.
    highlight_version : str
        Names the content of `highlight`; without it the content is hashed at every run.
    tool : str
        ``pan``, ``lasso`` or ``box`` at first drawing.
    keys : mapping of str to str
        Keys that become actions (`MapEvent.activated`), and the action they name.
    thumbnails : bool
        Whether pictures appear on hover and at density peaks.
    height : int
        Height of the drawing area in px; the workbench gives it what there is.
    label : str
        What the map shows, for screen readers.
    empty, empty_hint : str
        What is shown when there are no points, and the next step.

    Raises
    ------
    ValueError
        If the arrays do not have the same length.
    """

    xy: NDArray[np.floating[Any]]
    version: str
    ids: NDArray[np.integer[Any]] | None = None
    colors: NDArray[Any] | None = None
    colors_version: str = ""
    legend: Sequence[LegendEntry] = ()
    color_label: str = ""
    colorings: Mapping[str, str] | None = None
    names: bool = False
    outlines: bool = True
    note: str = ""
    highlight: NDArray[np.bool_] | None = None
    highlight_version: str = ""
    tool: MapTool = "lasso"
    keys: Mapping[str, str] = field(default_factory=lambda: DEFAULT_KEYS)
    thumbnails: bool = True
    height: int = 560
    label: str = "Map of the images"
    empty: str = "There is no map yet."
    empty_hint: str = ""

    def __post_init__(self) -> None:
        n = len(self.xy)
        for name, array in (("ids", self.ids), ("colors", self.colors), ("highlight", self.highlight)):
            if array is not None and len(array) != n:
                raise ValueError(f"{name} has {len(array)} rows, xy has {n}")


def scatter_map(
    key: str,
    xy: NDArray[np.floating[Any]],
    *,
    on_actions: Callable[[tuple[Action, ...], NDArray[np.bool_] | None], None] | None = None,
    **options: Any,  # noqa: ANN401 - the fields of MapPane
) -> MapEvent:
    """Show points on a WebGL map and return what was drawn, clicked and pinned.

    Parameters
    ----------
    key : str
        Unique key; the view, the tool and the regions are remembered under it.
    xy : ndarray of float, shape (n, 2)
        As in `MapPane`.
    on_actions : callable or None
        Carries out the actions before the page runs; it is given them and the mask of the drawn regions. Without it,
        and where a run began otherwise, they are left in the event.
    **options
        The other fields of `MapPane`; `version` is one.

    Returns
    -------
    MapEvent
        Resolved against `xy`.

    Raises
    ------
    ValueError
        If the arrays do not have the same length.
    """
    pane = MapPane(xy=xy, **options)
    memory = _adopt(key, pane)
    if memory.get("webgl") is False:
        return without_webgl(key, pane)
    said = st.session_state.get(key)
    state = said if isinstance(said, Mapping) else {}
    _actions(memory, state.get("event"))
    drawn_on_map(key, pane, state)
    data = {**map_message(key, pane), "acted": memory.get("acted", 0.0)}
    with st.container(gap=None):
        transfer.send_code("map", key)
        publish_map(key, pane)
        callbacks = transfer.named(*STATES, "event")
        if on_actions is not None:
            callbacks["on_event_change"] = partial(_carry_out, key, on_actions)
        result = _component()(key=key, data=data, **callbacks)
    _actions(memory, result.get("event"))
    return map_result(key, pane, result)


def has_webgl(key: str) -> bool:
    """Return whether the browser can draw the map, as far as it has said.

    Parameters
    ----------
    key : str
        The map's key.
    """
    return map_memory(key).get("webgl") is not False


def without_webgl(key: str, pane: MapPane) -> MapEvent:
    """Draw the simpler chart that stands in where the browser has no WebGL.

    Parameters
    ----------
    key : str
        The map's key.
    pane : MapPane
    """
    from components.map.fallback import plotly_map

    memory = _adopt(key, pane)
    version = transfer.version_of(pane.colors, pane.colors_version)
    coloring = None if pane.colors is None else _coloring(memory, pane.colors, version)
    resolve_regions(memory, None)
    return plotly_map(
        key,
        memory,
        ids=pane.ids,
        coloring=coloring,
        legend=pane.legend,
        label=pane.color_label,
        highlight=pane.highlight,
        height=pane.height,
    )


def drawn_on_map(key: str, pane: MapPane, state: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    """Return the points in the regions that are drawn now, None while nothing is; before the map is drawn in this run.

    Parameters
    ----------
    key : str
        The map's key.
    pane : MapPane
    state : mapping
        What the browser last said.
    """
    return resolve_regions(_adopt(key, pane), state.get("regions"))


def drawn_regions(key: str) -> tuple[Region, ...]:
    """Return the shapes that are drawn now, in order.

    Parameters
    ----------
    key : str
        The map's key.
    """
    memory = map_memory(key)
    return tuple(memory["regions"]) if memory.get("mask") is not None else ()


def map_message(key: str, pane: MapPane) -> MapMessage:
    """Return what the browser is told of a map.

    Parameters
    ----------
    key : str
        The map's key.
    pane : MapPane
    """
    memory = _adopt(key, pane)
    version = transfer.version_of(pane.colors, pane.colors_version)
    coloring = None if pane.colors is None else _coloring(memory, pane.colors, version)
    limits = None
    if coloring is not None and coloring.low is not None and coloring.high is not None:
        limits = (coloring.low, coloring.high)
    return {
        "key": key,
        "version": pane.version,
        "n": len(pane.xy),
        "colors": version or None,
        "range": limits,
        "colorLabel": pane.color_label,
        "colorings": list((pane.colorings or {}).items()),
        "names": pane.names,
        "outlines": pane.outlines,
        "note": pane.note,
        "legend": [(e.name, e.color or palette.category_color(c), e.noise) for c, e in enumerate(pane.legend)],
        "palette": list(palette.CATEGORIES),
        "noise": palette.NOISE,
        "ramp": list(palette.RAMP),
        "highlight": _highlight(memory, pane)[1] or None,
        "tool": pane.tool,
        "keys": dict(pane.keys),
        "thumbnails": bool(pane.thumbnails and pane.ids is not None),
        "height": int(pane.height),
        "label": pane.label,
        "empty": pane.empty,
        "emptyHint": pane.empty_hint,
        "command": memory.get("command"),
    }


def publish_map(key: str, pane: MapPane) -> None:
    """Send coordinates, colours and highlight of a map where they are new.

    Parameters
    ----------
    key : str
        The map's key.
    pane : MapPane
    """
    memory = _adopt(key, pane)
    transfer.publish(f"{key}:geometry", pane.version, _geometry(memory["points"], pane.ids))
    version = transfer.version_of(pane.colors, pane.colors_version)
    codes = np.empty(0, dtype=np.uint16) if pane.colors is None else _coloring(memory, pane.colors, version).codes
    transfer.publish(f"{key}:colors", version, {"codes": codes})
    highlight, version = _highlight(memory, pane)
    lit = np.empty(0, dtype=bool) if highlight is None else np.asarray(highlight, dtype=bool)
    transfer.publish(f"{key}:highlight", version, {"bits": np.packbits(lit, bitorder="little")})


def map_result(key: str, pane: MapPane, result: Mapping[str, Any]) -> MapEvent:
    """Return what a map reports; draws the page anew where the browser has just said that it has no WebGL.

    Parameters
    ----------
    key : str
        The map's key.
    pane : MapPane
    result : mapping
        What the component gave.
    """
    memory = _adopt(key, pane)
    if result.get("webgl") is False:
        memory["webgl"] = False
        st.rerun()
    return _event(memory, result, len(pane.xy))


def _adopt(key: str, pane: MapPane) -> dict[str, Any]:
    """Return the map's memory, with the coordinates of the pane."""
    memory = map_memory(key)
    if memory.get("version") != pane.version:
        points = np.ascontiguousarray(pane.xy, dtype=np.float32).reshape(-1, 2)
        memory.update(version=pane.version, points=points, mask=None, made=None, pinned_at=None)
    return memory


def _highlight(memory: dict[str, Any], pane: MapPane) -> tuple[NDArray[np.bool_] | None, str]:
    """Return what is highlighted and the name of it: by default the drawn regions."""
    if pane.highlight is None and memory.get("mask") is not None:
        return memory["mask"], f"regions:{memory['made']}"
    return pane.highlight, transfer.version_of(pane.highlight, pane.highlight_version)


def _carry_out(key: str, on_actions: Callable[[tuple[Action, ...], NDArray[np.bool_] | None], None]) -> None:
    """Hand the actions that have just come to the page's function; runs before the page, which nothing can end."""
    memory = map_memory(key)
    said = st.session_state.get(key)
    state = said if isinstance(said, Mapping) else {}
    _actions(memory, state.get("event"))
    actions = take(memory["inbox"])
    if actions:
        on_actions(actions, resolve_regions(memory, state.get("regions")))


def _geometry(points: NDArray[np.float32], ids: NDArray[np.integer[Any]] | None) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"xy": points.ravel()}
    if ids is not None:
        arrays["ids"] = ids.astype(np.int32, copy=False)
    return arrays


def _coloring(memory: dict[str, Any], colors: NDArray[Any], version: str) -> Coloring:
    """Encode colours once per version; the last four are kept, so that switching back is free."""
    kept: dict[str, Coloring] = memory["colorings"]
    coloring = kept.pop(version, None)
    if coloring is None or len(coloring.codes) != len(colors):
        coloring = encode_colors(colors)
    kept[version] = coloring
    for old in list(kept)[:-4]:
        del kept[old]
    return coloring


def resolve_regions(memory: dict[str, Any], payload: object) -> NDArray[np.bool_] | None:
    """Return the mask of the newest regions, None while nothing is drawn; computed once per drawing.

    Parameters
    ----------
    memory : dict
        From `map_memory`, with ``points`` and ``version``.
    payload : object
        What the browser said last: ``{"v": version, "c": command, "t": time, "regions": [...]}``.
    """
    if isinstance(payload, Mapping) and payload.get("v") == memory["version"]:
        if int(payload.get("c") or 0) >= memory.get("cleared_at", 0):
            memory["payload"] = payload
    newest = memory.get("payload")
    if newest is None or newest.get("v") != memory["version"]:
        return None
    if memory.get("made") != newest.get("t"):
        regions = read_regions(newest)
        memory.update(
            regions=regions, mask=select(regions, memory["points"]) if regions else None, made=newest.get("t")
        )
    mask: NDArray[np.bool_] | None = memory["mask"]
    return mask


def _actions(memory: dict[str, Any], event: object) -> None:
    """Read new actions into the inbox; the last hundred are kept."""
    memory["inbox"] += [action for action, _item in fresh_actions(memory, event)]
    del memory["inbox"][:-100]


def _row(value: object, n: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n else None


def _event(memory: dict[str, Any], result: Mapping[str, Any], n: int) -> MapEvent:
    had = memory.get("had_regions", False)
    mask = resolve_regions(memory, result.get("regions"))
    memory["had_regions"] = mask is not None
    pin = result.get("pinned")
    pin = pin if isinstance(pin, Mapping) and pin.get("v") == memory["version"] else {}
    pinned = _row(pin.get("row"), n)
    clicked = pinned if pin.get("t") != memory.get("pinned_at") else None
    memory["pinned_at"] = pin.get("t")
    return MapEvent(
        regions=memory["regions"] if mask is not None else (),
        mask=mask,
        clicked=clicked,
        pinned=pinned,
        cleared=had and mask is None,
        webgl=True,
        inbox=memory["inbox"],
    )
