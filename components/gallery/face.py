"""The Python face of the gallery: mounts the component and resolves what it sends.

The ids travel once per version through `components.transfer`; the selection comes back as ranges in the display order
of the version it was made in and is carried over to newer data by id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from types import MappingProxyType
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import transfer
from components.actions import DEFAULT_KEYS, Action, fresh_actions, take
from components.gallery.selection import GallerySelection, decode, encode
from engine.core import palette

DEFAULT_BUTTONS: Mapping[str, str] = MappingProxyType({"neighbours": "Neighbours", "show_on_map": "Show on map"})
_WINDOW = 600
_VERSIONS = 3
_MOST_ACTIONS = 100
STATES = ("selection", "window", "order", "viewing", "seen", "event")
SHAPES = ("tick", "group", "guess", "close")


@cache
def _component() -> Callable[..., Mapping[str, Any]]:
    return transfer.component("gallery")


def _memory(key: str) -> dict[str, Any]:
    memory: dict[str, Any] = st.session_state.setdefault(
        f"_kindred_gallery:{key}", {"nonce": 0, "seen": {}, "inbox": []}
    )
    return memory


def _state(key: str) -> Mapping[str, Any]:
    """What the browser last said, already before the gallery is drawn in this run."""
    state = st.session_state.get(key)
    return state if isinstance(state, Mapping) else {}


def gallery_order(key: str, default: str = "") -> str:
    """Return the order the person chose in the gallery's menu, before the gallery is drawn in this run.

    Parameters
    ----------
    key : str
        The gallery's key.
    default : str
        Returned while nothing was chosen.
    """
    memory = _memory(key)
    chosen = _state(key).get("order")
    if isinstance(chosen, str) and chosen:
        memory["order"] = chosen
    return str(memory.get("order") or default)


def gallery_viewing(key: str) -> int | None:
    """Return the id of the image that is open full screen, before the gallery is drawn in this run.

    Parameters
    ----------
    key : str
        The gallery's key.
    """
    viewing = _state(key).get("viewing")
    return viewing if isinstance(viewing, int) else None


def gallery_seen(key: str, version: str) -> bool:
    """Return whether every image of a version was on the screen, before the gallery is drawn in this run.

    Parameters
    ----------
    key : str
        The gallery's key.
    version : str
    """
    seen = _state(key).get("seen")
    return isinstance(seen, Mapping) and seen.get("v") == version


def gallery_acted(key: str) -> float:
    """Return the time of the last action that was handed out, as the browser gave it.

    Parameters
    ----------
    key : str
        The gallery's key.
    """
    return float(_memory(key).get("acted", 0.0))


def select_in_gallery(key: str, ids: NDArray[np.integer[Any]] | Sequence[int], *, together: bool = False) -> None:
    """Replace the selection of a gallery from Python; takes effect at the gallery's next drawing.

    Parameters
    ----------
    key : str
        The gallery's key.
    ids : sequence of int
        Ids to select; those the gallery does not show are ignored.
    together : bool
        They were chosen all at once, as by a lasso, and not one by one.
    """
    memory = _memory(key)
    memory["nonce"] += 1
    memory["command"] = np.asarray(ids, dtype=np.int64)
    memory["command_together"] = together
    memory["payload"] = None


def clear_gallery(key: str) -> None:
    """Deselect everything in a gallery; for use after an action was carried out.

    Parameters
    ----------
    key : str
        The gallery's key.
    """
    select_in_gallery(key, [])


@dataclass(frozen=True, kw_only=True)
class GalleryPane:
    """What a gallery shows.

    Attributes
    ----------
    ids : ndarray of int, shape (n,)
        Catalog ids in display order, each at most once, 0..2**31 - 1; n may be 0 or millions.
    version : str
        Names the content of `ids`; the ids are sent again only when it changes. The selection is carried over by id.
    captions : callable or None
        Given positions (int64, at most 600, those in view), returns one caption each, for the hover text and the full
        screen view. Called in the run after the view moved.
    badges : ndarray of int, shape (n,), or None
        Code 0..65535 of a word per image; 0 is none, code c is ``badge_names[c - 1]`` in palette colour c - 1.
    badges_version : str
        Names the content of `badges` and `marks`; without it the content of `badges` is hashed at every run.
    badge_names : sequence of str
        The words of the codes 1, 2, ...
    badge_colors : sequence of int or None
        The palette colour of each word, by default its place.
    marks : ndarray of int, shape (n,), or None
        Code 0..255 of a shape beside the word; 0 is none, code c is ``mark_names[c - 1]``. Needs `badges`.
    mark_names : sequence of (str, str)
        Shape (one of `SHAPES`) and meaning of the codes 1, 2, ...
    view : str
        Names what is looked at. While it stays the same the scroll place is kept, also when `version` changes; a new
        one begins at the top. By default the version.
    stale : bool
        Offer to sort the images anew (action ``refresh_order``).
    chips : sequence of str
        Labels of the keys 1, 2, ..., shown below the grid; what a key gives is shown before Python hears of it. The
        person may put them into another order (action ``arrange``, with the labels in `Action.labels`).
    hints : mapping of str to str
        Other keys that work now, and what they do; shown below the grid.
    ticking : bool
        A click selects one image more, or one less, and leaves the others as they are.
    want_seen : bool
        Report whether every image was on the screen (`GallerySelection.all_seen`).
    reasons : mapping of int to str or None
        Why an image could not be read, by id; shown on its placeholder.
    orders : mapping of str to str or None
        Choices of the order menu (value to title). The page sorts; see `gallery_order`.
    order : str
        The order `ids` is in now.
    neighbours : mapping of int to sequence of int or None
        Ids of the neighbours of images, for the strip of the full screen view; give it for `gallery_viewing`.
    keys : mapping of str to str
        Keys that become actions, and the action they name.
    buttons : mapping of str to str
        Actions offered on each image (full screen view), and their titles.
    height : int
        Height of the grid in px, without the tool bar; the workbench gives it what there is.
    label : str
        What the images are, for the count and for screen readers.
    heading : str
        What is looked at, above the grid; empty for nothing.
    back : str
        Title of the way back to everything (action ``show_all``); empty where everything is shown.
    filters : mapping of str to str or None
        Choices of a filter (value to title; action ``filter`` with the value in `Action.text`).
    filter : str
        The choice of `filters` that holds now.
    empty, empty_hint : str
        What is shown when there are no ids, and the next step.

    Raises
    ------
    ValueError
        If `badges` has another length than `ids`.
    """

    ids: NDArray[np.integer[Any]]
    version: str
    captions: Callable[[NDArray[np.int64]], Sequence[str]] | None = None
    badges: NDArray[np.integer[Any]] | None = None
    badges_version: str = ""
    badge_names: Sequence[str] = ()
    badge_colors: Sequence[int] | None = None
    marks: NDArray[np.integer[Any]] | None = None
    mark_names: Sequence[tuple[str, str]] = ()
    view: str = ""
    stale: bool = False
    chips: Sequence[str] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    ticking: bool = False
    want_seen: bool = False
    reasons: Mapping[int, str] | None = None
    orders: Mapping[str, str] | None = None
    order: str = ""
    neighbours: Mapping[int, Sequence[int]] | None = None
    keys: Mapping[str, str] = field(default_factory=lambda: DEFAULT_KEYS)
    buttons: Mapping[str, str] = field(default_factory=lambda: DEFAULT_BUTTONS)
    height: int = 620
    label: str = "Images"
    heading: str = ""
    back: str = ""
    filters: Mapping[str, str] | None = None
    filter: str = ""
    empty: str = "No images here."
    empty_hint: str = ""

    def __post_init__(self) -> None:
        if self.badges is not None and len(self.badges) != len(self.ids):
            raise ValueError(f"badges has {len(self.badges)} entries, ids has {len(self.ids)}")


def gallery(
    key: str,
    ids: NDArray[np.integer[Any]],
    *,
    on_actions: Callable[[tuple[Action, ...]], None] | None = None,
    **options: Any,  # noqa: ANN401 - the fields of GalleryPane
) -> GallerySelection:
    """Show thumbnails in a virtual grid and return what is selected.

    Parameters
    ----------
    key : str
        Unique key; the selection, scroll place and focus are remembered under it.
    ids : ndarray of int, shape (n,)
        As in `GalleryPane`.
    on_actions : callable or None
        Carries out the actions before the page runs. Without it, and where a run began otherwise, they are left in
        `GallerySelection.actions`.
    **options
        The other fields of `GalleryPane`; `version` is one.

    Returns
    -------
    GallerySelection
        Resolved against `ids`.

    Raises
    ------
    ValueError
        If `badges` has another length than `ids`, or an id does not fit.
    """
    pane = GalleryPane(ids=ids, **options)
    data = gallery_message(key, pane)
    with st.container(gap=None):
        transfer.send_code("gallery", key)
        publish_gallery(key, pane)
        said = transfer.named(*STATES)
        if on_actions is not None:
            said["on_event_change"] = partial(carry_out, key, pane.version, on_actions)
        result = _component()(key=key, data=data, **said)
    return gallery_result(key, pane, result)


def gallery_message(key: str, pane: GalleryPane) -> dict[str, Any]:
    """Return what the browser is told of a gallery; what it said before is read first.

    Parameters
    ----------
    key : str
    pane : GalleryPane
    """
    memory = _memory(key)
    ids = _remember(memory, pane.version, pane.ids)
    state = _state(key)
    _actions(memory, pane.version, ids, state.get("event"))
    return {
        "key": key,
        "version": pane.version,
        "n": int(ids.size),
        "captions": _captions(pane.captions, _window(state, pane.version, ids.size)),
        "wantCaptions": pane.captions is not None,
        "badges": transfer.version_of(pane.badges, pane.badges_version) or None,
        "badgeNames": list(pane.badge_names),
        "palette": list(palette.CATEGORIES),
        "reasons": {str(image): reason for image, reason in (pane.reasons or {}).items()},
        "badgeColors": None if pane.badge_colors is None else list(pane.badge_colors),
        "markNames": [list(pair) for pair in pane.mark_names],
        "view": pane.view,
        "stale": pane.stale,
        "chips": list(pane.chips),
        "hints": [list(pair) for pair in pane.hints.items()],
        "ticking": pane.ticking,
        "wantSeen": pane.want_seen,
        "orders": [list(pair) for pair in (pane.orders or {}).items()],
        "order": pane.order,
        "neighbours": {str(image): [int(i) for i in near] for image, near in (pane.neighbours or {}).items()},
        "wantNeighbours": pane.neighbours is not None,
        "keys": dict(pane.keys),
        "buttons": [list(pair) for pair in pane.buttons.items()],
        "height": int(pane.height),
        "label": pane.label,
        "heading": pane.heading,
        "back": pane.back,
        "filters": [list(pair) for pair in (pane.filters or {}).items()],
        "filter": pane.filter,
        "empty": pane.empty,
        "emptyHint": pane.empty_hint,
        "command": _command(memory, pane.version, ids),
        "acted": memory.get("acted", 0.0),
    }


def publish_gallery(key: str, pane: GalleryPane) -> None:
    """Send ids, badges and marks of a gallery where they are new.

    Parameters
    ----------
    key : str
    pane : GalleryPane
    """
    transfer.publish(f"{key}:ids", pane.version, {"ids": _memory(key)["seen"][pane.version]})
    codes = np.empty(0, dtype=np.uint16) if pane.badges is None else pane.badges.astype(np.uint16)
    shapes = np.zeros(len(codes), dtype=np.uint8) if pane.marks is None else pane.marks.astype(np.uint8)
    version = transfer.version_of(pane.badges, pane.badges_version)
    transfer.publish(f"{key}:badges", version, {"codes": codes, "marks": shapes})


def gallery_result(key: str, pane: GalleryPane, result: Mapping[str, Any]) -> GallerySelection:
    """Return what a gallery reports.

    Parameters
    ----------
    key : str
    pane : GalleryPane
    result : mapping
        What the component gave.
    """
    memory = _memory(key)
    ids = memory["seen"][pane.version]
    _actions(memory, pane.version, ids, result.get("event"))
    return _resolve(memory, pane.version, ids, result, pane.order)


def carry_out(key: str, version: str, on_actions: Callable[[tuple[Action, ...]], None]) -> None:
    """Hand the actions that have just come to the page's function; runs before the page, which nothing can end.

    Parameters
    ----------
    key : str
    version : str
        The version that the gallery was drawn with.
    on_actions : callable
    """
    memory = _memory(key)
    _actions(memory, version, memory["seen"][version], _state(key).get("event"))
    actions = take(memory["inbox"])
    if actions:
        on_actions(actions)


def _remember(memory: dict[str, Any], version: str, ids: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """Keep the ids of this and the versions before, so that a late selection finds the ids it was made on."""
    seen: dict[str, NDArray[np.int32]] = memory["seen"]
    kept = seen.pop(version, None)
    if kept is None:
        if len(ids) and (int(ids.min()) < 0 or int(ids.max()) > np.iinfo(np.int32).max):
            raise ValueError("ids must lie in 0..2**31 - 1")
        kept = np.ascontiguousarray(ids, dtype=np.int32)
    seen[version] = kept
    for old in list(seen)[:-_VERSIONS]:
        del seen[old]
    return kept


def _window(state: Mapping[str, Any], version: str, n: int) -> tuple[int, int]:
    """Positions whose captions are wanted: what the browser shows, at first the beginning."""
    window = state.get("window")
    if not isinstance(window, Mapping) or window.get("v") != version:
        return 0, min(n, _WINDOW // 4)
    start = max(0, min(n, int(window.get("a", 0))))
    return start, max(start, min(n, int(window.get("b", 0)), start + _WINDOW))


def _captions(
    captions: Callable[[NDArray[np.int64]], Sequence[str]] | None, window: tuple[int, int]
) -> dict[str, Any] | None:
    if captions is None:
        return None
    return {"from": window[0], "names": [str(name) for name in captions(np.arange(*window, dtype=np.int64))]}


def _command(memory: dict[str, Any], version: str, ids: NDArray[np.int32]) -> dict[str, Any] | None:
    """The selection that Python ordered, in positions of these ids."""
    wanted = memory.get("command")
    if wanted is None:
        return None
    if memory.get("command_for") != (memory["nonce"], version):
        memory["command_mask"] = np.isin(ids, wanted)
        memory["command_for"] = (memory["nonce"], version)
    return {"nonce": memory["nonce"], "g": memory["command_together"], **encode(memory["command_mask"])}


def _actions(memory: dict[str, Any], version: str, ids: NDArray[np.int32], event: object) -> None:
    """Read new actions into the inbox, each with the ids that were selected at its moment."""
    for action, item in fresh_actions(memory, event):
        labels = item.get("labels")
        if isinstance(labels, Sequence) and not isinstance(labels, str):
            action = replace(action, labels=tuple(str(label) for label in labels[:9]))
        said = item.get("selection")
        if isinstance(said, Mapping):
            chosen = ids[_mask(memory, version, ids, said)]
            action = replace(action, ids=chosen, together=bool(said.get("g")) and len(chosen) > 0)
            memory["payload"] = _newer(memory, memory.get("payload"), said)
        memory["inbox"].append(action)
    del memory["inbox"][:-_MOST_ACTIONS]


def _resolve(
    memory: dict[str, Any], version: str, ids: NDArray[np.int32], result: Mapping[str, Any], order: str
) -> GallerySelection:
    """Turn the newest of what the browser said into a selection of these ids."""
    payload = memory.get("payload")
    payload = _newer(memory, payload, result.get("selection"))
    if payload is not None:
        memory["command"] = None
        mask = _mask(memory, version, ids, payload)
        if payload.get("v") != version:  # later versions continue from here
            kept = {name: payload.get(name) for name in ("c", "t", "g")}
            payload = {"v": version, **kept, **encode(mask)}
        memory["payload"] = payload
    elif memory.get("command") is not None:
        mask = memory["command_mask"]
    else:
        mask = np.zeros(ids.size, dtype=bool)
    viewing = result.get("viewing") if isinstance(result.get("viewing"), int) else None
    opened = viewing if viewing != memory.get("viewing") else None
    memory["viewing"] = viewing
    chosen = result.get("order")
    seen = result.get("seen")
    return GallerySelection(
        ids,
        mask,
        opened=opened,
        viewing=viewing,
        order=chosen if isinstance(chosen, str) and chosen else order,
        together=payload is not None and bool(payload.get("g")),
        all_seen=isinstance(seen, Mapping) and seen.get("v") == version,
        inbox=memory["inbox"],
    )


def _newer(memory: dict[str, Any], payload: Mapping[str, Any] | None, other: object) -> Mapping[str, Any] | None:
    """Return `other` if it is later than `payload` and knows the last command of Python."""
    if not isinstance(other, Mapping):
        return payload
    command, time = _age(other)
    return other if command >= memory["nonce"] and time > _age(payload)[1] else payload


def _age(payload: Mapping[str, Any] | None) -> tuple[int, float]:
    """Order of messages: the last command of Python they know, then their time."""
    if payload is None:
        return 0, -1.0
    try:
        return int(payload.get("c") or 0), float(payload.get("t") or 0.0)
    except (TypeError, ValueError):
        return 0, -1.0


def _mask(
    memory: dict[str, Any], version: str, ids: NDArray[np.int32], payload: Mapping[str, Any]
) -> NDArray[np.bool_]:
    """Resolve a payload made in this or an earlier version of the data, by id."""
    made_in = str(payload.get("v"))
    if made_in == version:
        return decode(payload, ids.size)
    before = memory["seen"].get(made_in)
    if before is None:
        return np.zeros(ids.size, dtype=bool)
    mask: NDArray[np.bool_] = np.isin(ids, before[decode(payload, before.size)])
    return mask
