"""The Python face of the workbench: mounts the component and resolves what it sends.

Its Streamlit key is its gallery's key as well, so `gallery_order`, `gallery_viewing` and `select_in_gallery` work on
it; the key of its map is `map_key(key)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import transfer
from components.actions import Action
from components.gallery.face import STATES as GALLERY_STATES
from components.gallery.face import GalleryPane, carry_out, gallery_message, gallery_result, publish_gallery
from components.gallery.selection import GallerySelection
from components.map.events import MapEvent
from components.map.face import STATES as MAP_STATES
from components.map.face import MapPane, drawn_on_map, map_message, map_result, publish_map
from components.workbench.protocol import (
    BarMessage,
    FiltersMessage,
    GroupItem,
    GroupsMessage,
    InspectorMessage,
    WorkbenchMessage,
)


@dataclass(frozen=True, kw_only=True)
class GroupsPane:
    """The list at the left: clusters, or other groups of images.

    Attributes
    ----------
    items : callable
        Returns the cards in the order in which they are shown first; called only when `version` is new.
    version : str
        Names the content of `items`.
    chosen : sequence of int
        Ids of the chosen ones. A choice is the action ``choose`` with `Action.values`.
    heading : str
    filter : str
        The text that the titles are filtered by (action ``filter_groups`` with `Action.text`).
    sorts : mapping of str to str
        Orders to choose from ("size", "name", "quality", "unnamed") and their titles; the browser sorts.
    actions : mapping of str to str
        Actions on the chosen ones, and their titles: ``open`` on one, ``merge`` on several.
    """

    items: Callable[[], Sequence[GroupItem]]
    version: str
    chosen: Sequence[int] = ()
    heading: str = "Clusters"
    filter: str = ""
    sorts: Mapping[str, str] = field(default_factory=dict)
    actions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reported:
    """What the workbench reports.

    Attributes
    ----------
    gallery : GallerySelection
        Its `actions` are those of every pane.
    map : MapEvent or None
    """

    gallery: GallerySelection
    map: MapEvent | None


@cache
def _component() -> Callable[..., Mapping[str, Any]]:
    return transfer.component("workbench")


def map_key(key: str) -> str:
    """Return the key of the map of a workbench, for `focus_on_map`, `clear_map` and `draw_on_map`.

    Parameters
    ----------
    key : str
        The workbench's key.
    """
    return f"{key}_map"


def drawn_in_workbench(key: str, pane: MapPane) -> NDArray[np.bool_] | None:
    """Return the points in the regions that are drawn on the map now, before the workbench is drawn in this run.

    Parameters
    ----------
    key : str
    pane : MapPane
    """
    said = st.session_state.get(key)
    return drawn_on_map(map_key(key), pane, said if isinstance(said, Mapping) else {})


def workbench(
    key: str,
    *,
    kind: str,
    gallery: GalleryPane,
    map: MapPane | None = None,  # noqa: A002 - the field's word
    groups: GroupsPane | None = None,
    bar: BarMessage | None = None,
    inspector: InspectorMessage | None = None,
    filters: FiltersMessage | None = None,
    takes_pictures: bool = False,
    on_actions: Callable[[tuple[Action, ...]], None] | None = None,
) -> Reported:
    """Draw the workbench; it takes the height that the window has left.

    Parameters
    ----------
    key : str
        Unique key; widths of panes, selection, scroll place and focus are remembered under it.
    kind : str
        Names the arrangement ("explore", "label", "review"): widths of panes are remembered for each.
    gallery : GalleryPane
    map : MapPane or None
    groups : GroupsPane or None
    bar : BarMessage or None
        What can be done with selected images; None for nothing.
    inspector : InspectorMessage or None
    filters : FiltersMessage or None
        The bar of filters above the gallery.
    takes_pictures : bool
        Whether a picture that is pasted or dropped is handed on, as the action "picture" with base64 in its `text`.
    on_actions : callable or None
        Carries out the actions before the page runs; where a run began otherwise they are left in the gallery's
        `actions`.
    """
    own: GroupsMessage | None = None
    if groups is not None:
        own = {
            "version": groups.version,
            "heading": groups.heading,
            "chosen": [int(group) for group in groups.chosen],
            "filter": groups.filter,
            "sorts": [list(pair) for pair in groups.sorts.items()],
            "actions": [list(pair) for pair in groups.actions.items()],
        }
    pictures = gallery_message(key, gallery)
    data: WorkbenchMessage = {
        "key": key,
        "kind": kind,
        "acted": pictures["acted"],
        "gallery": pictures,
        "map": None if map is None else map_message(map_key(key), map),
        "groups": own,
        "bar": bar,
        "inspector": inspector,
        "filters": filters,
        "takes_pictures": takes_pictures,
    }
    with st.container(gap=None):
        transfer.send_code("workbench", key)
        publish_gallery(key, gallery)
        if map is not None:
            publish_map(map_key(key), map)
        if groups is not None:
            _publish_groups(key, groups)
        said = transfer.named(*(state for state in GALLERY_STATES if state != "selection"), *MAP_STATES)
        if on_actions is not None:
            said["on_event_change"] = partial(carry_out, key, gallery.version, on_actions)
        result = _component()(key=key, data=data, **said)
    reported = gallery_result(key, gallery, result)
    return Reported(reported, None if map is None else map_result(map_key(key), map, result))


def _publish_groups(key: str, groups: GroupsPane) -> None:
    """Send the cards where they are new; they are made only then."""
    channel = f"{key}:groups"
    arrays: dict[str, NDArray[Any]] = {}
    if not transfer.is_published(channel, groups.version):
        text = json.dumps(list(groups.items()), separators=(",", ":"), allow_nan=False)
        arrays = {"json": np.frombuffer(text.encode(), dtype=np.uint8)}
    transfer.publish(channel, groups.version, arrays)
