"""The Python face of the gallery: mounts the component and resolves what it sends.

The ids travel once per version through `components.transfer`; the selection comes back as ranges in the display order
of the version it was made in and is carried over to newer data by id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components import palette, transfer
from components.gallery.selection import GalleryEvent, GallerySelection, decode, encode

# Keys the gallery passes on, and what they mean to the page.
DEFAULT_KEYS: Mapping[str, str] = {
    **{str(digit): "label" for digit in range(1, 10)},
    "x": "reject",
    "m": "merge",
    "/": "search",
    "Ctrl+z": "undo",
    "Ctrl+Shift+z": "redo",
    "n": "neighbours",
    "p": "show_on_map",
}
DEFAULT_BUTTONS: Mapping[str, str] = {"neighbours": "Neighbours", "show_on_map": "Show on map"}
_WINDOW = 600


@cache
def _component() -> Any:
    return st.components.v2.component(
        "kindred_gallery",
        html='<div class="k-gallery"></div>',
        css=transfer.asset("shared/theme.css") + transfer.asset("gallery/gallery.css"),
        js=transfer.asset("gallery/gallery.js"),
    )


def _memory(key: str) -> dict[str, Any]:
    memory: dict[str, Any] = st.session_state.setdefault(f"_kindred_gallery:{key}", {"nonce": 0, "seen": {}})
    return memory


def gallery_order(key: str, default: str = "") -> str:
    """Return the order the person chose in the gallery's menu, before the gallery is drawn in this run.

    Parameters
    ----------
    key : str
        The gallery's key.
    default : str
        Returned while nothing was chosen.
    """
    state = st.session_state.get(key)
    chosen = state.get("order") if isinstance(state, Mapping) else None
    memory = _memory(key)
    if isinstance(chosen, str) and chosen:
        memory["order"] = chosen
    return str(memory.get("order") or default)


def select_in_gallery(key: str, ids: NDArray[np.integer[Any]] | Sequence[int]) -> None:
    """Replace the selection of a gallery from Python; takes effect at the gallery's next drawing.

    Parameters
    ----------
    key : str
        The gallery's key.
    ids : sequence of int
        Ids to select; those the gallery does not show are ignored.
    """
    memory = _memory(key)
    memory["nonce"] += 1
    memory["command"] = np.asarray(ids, dtype=np.int64)


def clear_gallery(key: str) -> None:
    """Deselect everything in a gallery; for use after an action was carried out.

    Parameters
    ----------
    key : str
        The gallery's key.
    """
    select_in_gallery(key, [])


def gallery(
    key: str,
    ids: NDArray[np.integer[Any]],
    *,
    version: str,
    captions: Callable[[NDArray[np.int64]], Sequence[str]] | None = None,
    badges: NDArray[np.integer[Any]] | None = None,
    badges_version: str = "",
    badge_names: Sequence[str] = (),
    reasons: Mapping[int, str] | None = None,
    orders: Mapping[str, str] | None = None,
    order: str = "",
    neighbours: Mapping[int, Sequence[int]] | None = None,
    keys: Mapping[str, str] = DEFAULT_KEYS,
    buttons: Mapping[str, str] = DEFAULT_BUTTONS,
    height: int = 620,
    label: str = "Images",
    empty: str = "No images here.",
    empty_hint: str = "",
) -> GallerySelection:
    """Show thumbnails in a virtual grid and return what is selected.

    Parameters
    ----------
    key : str
        Unique key; the selection, scroll place and focus are remembered under it.
    ids : ndarray of int, shape (n,)
        Catalog ids in display order, each at most once; n may be 0 or millions.
    version : str
        Names the content of `ids`; the ids are sent again only when it changes. The selection is carried over by id.
    captions : callable or None
        Given positions (int64, at most 600, those in view), returns one caption each, for the hover text and the full
        screen view. Called in the run after the view moved.
    badges : ndarray of int, shape (n,), or None
        Code of a small mark per image; 0 is none, code c is ``badge_names[c - 1]`` in palette colour c - 1.
    badges_version : str
        Names the content of `badges`.
    badge_names : sequence of str
        Meaning of the codes 1, 2, ..., shown on hover.
    reasons : mapping of int to str or None
        Why an image could not be read, by id; shown on its placeholder.
    orders : mapping of str to str or None
        Choices of the order menu (value to title). The page sorts; see `gallery_order`.
    order : str
        The order `ids` is in now.
    neighbours : mapping of int to sequence of int or None
        Ids of the neighbours of images, for the strip of the full screen view; give it for `viewing`.
    keys : mapping of str to str
        Keys that become events, and the action they name.
    buttons : mapping of str to str
        Actions offered on each image (full screen view), and their titles.
    height : int
        Height of the grid in px, without the tool bar.
    label : str
        What the images are, for the count and for screen readers.
    empty, empty_hint : str
        What is shown when there are no ids, and the next step.

    Returns
    -------
    GallerySelection
        Resolved against `ids`.
    """
    order_ids = np.ascontiguousarray(ids, dtype=np.int32)
    memory = _memory(key)
    _remember(memory, version, order_ids)
    state = st.session_state.get(key)
    window = _window(state, version, order_ids.size)
    data = {
        "key": key,
        "version": version,
        "n": int(order_ids.size),
        "captions": _captions(captions, window),
        "wantCaptions": captions is not None,
        "badges": badges_version if badges is not None else None,
        "badgeNames": list(badge_names),
        "palette": list(palette.CATEGORIES),
        "reasons": {str(k): v for k, v in (reasons or {}).items()},
        "orders": [list(pair) for pair in (orders or {}).items()],
        "order": order,
        "neighbours": {str(k): [int(i) for i in v] for k, v in (neighbours or {}).items()},
        "wantNeighbours": neighbours is not None,
        "keys": dict(keys),
        "buttons": [list(pair) for pair in buttons.items()],
        "height": int(height),
        "label": label,
        "empty": empty,
        "emptyHint": empty_hint,
        "command": _command(memory, order_ids),
    }
    with st.container(gap=None):
        transfer.publish(f"{key}:ids", version, {"ids": order_ids})
        if badges is not None:
            codes = np.ascontiguousarray(badges, dtype=np.uint8)
            transfer.publish(f"{key}:badges", badges_version, {"codes": codes})
        result = _component()(
            key=key,
            data=data,
            on_selection_change=_ignore,
            on_window_change=_ignore,
            on_order_change=_ignore,
            on_viewing_change=_ignore,
            on_opened_change=_ignore,
            on_event_change=_ignore,
        )
    return _resolve(memory, version, order_ids, result, order)


def _ignore() -> None:
    """Streamlit names the values of a component by its callbacks."""


def _remember(memory: dict[str, Any], version: str, ids: NDArray[np.int32]) -> None:
    """Keep the ids of this and the two versions before, so that a late selection finds its ids."""
    seen: dict[str, NDArray[np.int32]] = memory["seen"]
    seen.pop(version, None)
    seen[version] = ids
    for old in list(seen)[:-3]:
        del seen[old]


def _window(state: Any, version: str, n: int) -> tuple[int, int]:
    window = state.get("window") if isinstance(state, Mapping) else None
    if isinstance(window, Mapping) and window.get("v") == version:
        start = max(0, min(n, int(window.get("a", 0))))
        return start, max(start, min(n, int(window.get("b", 0)), start + _WINDOW))
    return 0, min(n, _WINDOW // 4)


def _captions(
    captions: Callable[[NDArray[np.int64]], Sequence[str]] | None, window: tuple[int, int]
) -> dict[str, Any] | None:
    if captions is None:
        return None
    positions = np.arange(*window, dtype=np.int64)
    return {"from": window[0], "names": [str(name) for name in captions(positions)]}


def _command(memory: dict[str, Any], ids: NDArray[np.int32]) -> dict[str, Any] | None:
    wanted = memory.get("command")
    if wanted is None:
        return None
    return {"nonce": memory["nonce"], **encode(np.isin(ids, wanted))}


def _resolve(memory: dict[str, Any], version: str, ids: NDArray[np.int32], result: Any, order: str) -> GallerySelection:
    event = result.event if isinstance(result.event, Mapping) else None
    payloads = [p for p in (memory.get("payload"), result.selection, (event or {}).get("selection")) if p]
    payload = max(payloads, key=lambda p: (int(p.get("c", 0)), float(p.get("t", 0))), default=None)
    memory["payload"] = payload
    if memory.get("command") is not None and int((payload or {}).get("c", 0)) < memory["nonce"]:
        mask = np.isin(ids, memory["command"])
    else:
        mask = _mask(memory, version, ids, payload)
    activated = None
    if event and isinstance(event.get("action"), str):
        position = event.get("position")
        activated = GalleryEvent(event["action"], str(event.get("key", "")), event.get("id"), position)
    chosen = result.order if isinstance(result.order, str) and result.order else order
    opened = result.opened if isinstance(result.opened, int) else None
    viewing = result.viewing if isinstance(result.viewing, int) else None
    return GallerySelection(ids, mask, opened=opened, viewing=viewing, activated=activated, order=chosen)


def _mask(
    memory: dict[str, Any], version: str, ids: NDArray[np.int32], payload: Mapping[str, Any] | None
) -> NDArray[np.bool_]:
    """Resolve a payload made in this or an earlier version of the data, by id."""
    made_in = str((payload or {}).get("v", version))
    if made_in == version:
        return decode(payload, ids.size)
    before = memory["seen"].get(made_in)
    if before is None:
        return np.zeros(ids.size, dtype=bool)
    mask: NDArray[np.bool_] = np.isin(ids, before[decode(payload, before.size)])
    return mask
