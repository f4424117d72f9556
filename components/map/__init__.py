"""The map: a WebGL scatter of any number of images with lasso, box, hover thumbnails and a counting legend.

In flow coordinates, colours and a highlight, each sent once per version; out comes a `MapEvent` with the drawn regions
in data coordinates, which Python turns into a mask. Where the browser has no WebGL, a plotly chart stands in.
"""

from __future__ import annotations

from components.map.events import LegendEntry, MapEvent
from components.map.face import clear_map, focus_on_map, scatter_map
from components.map.polygon import Region, inside, select

__all__ = [
    "LegendEntry",
    "MapEvent",
    "Region",
    "clear_map",
    "focus_on_map",
    "inside",
    "scatter_map",
    "select",
]
