"""What a key or a button in the gallery or on the map asks of the page.

Streamlit keeps only the last of several triggers that arrive while a run is busy, and none of a run that a newer click
ended early. So the browser sends every action, with its time, until Python acknowledges it, and each is handed to the
page once and in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Keys that are passed on, and the action each names; a page may give its own.
DEFAULT_KEYS: Mapping[str, str] = MappingProxyType(
    {
        **{str(digit): "label" for digit in range(1, 10)},
        "x": "reject",
        "m": "merge",
        "/": "search",
        "n": "neighbours",
        "p": "show_on_map",
        "l": "more_like",
        "Shift+l": "less_like",
        "Ctrl+z": "undo",
        "Ctrl+Shift+z": "redo",
    }
)


@dataclass(frozen=True)
class Action:
    """One thing the person asked for; it is reported in one run.

    Attributes
    ----------
    action : str
        ``label`` (keys 1-9), ``reject`` (x), ``merge`` (m), ``search`` (/), ``undo``, ``redo``, ``neighbours`` (n),
        ``show_on_map`` (p), ``more_like`` (l), ``less_like`` (Shift + l), or what the page named its own keys and
        buttons.
    key : str
        The key pressed, such as ``"3"`` or ``"Ctrl+z"``; empty when a button was used.
    id : int or None
        The image under the cursor, pinned, or open full screen.
    position : int or None
        Its place in display order (gallery) or its row (map).
    ids : ndarray of int32 or None
        Gallery: the ids that were selected at that moment, in display order. Map: None.
    together : bool
        Whether these ids were selected all at once (Ctrl+A) and not one by one.
    labels : tuple of str
        ``arrange``: the labels of the number keys in their new order.
    part : str
        Pane of the workbench that it comes from; empty elsewhere.
    text : str
        What was typed or chosen: a name, a filter, a colouring.
    value : int or None
        A number that belongs to it: a cluster, how many parts.
    values : tuple of int
        Several of them.
    also : bool
        It changes what the person labelled one by one too, although it is on a group.
    """

    action: str
    key: str = ""
    id: int | None = None
    position: int | None = None
    ids: NDArray[np.int32] | None = field(default=None, compare=False, repr=False)
    together: bool = False
    labels: tuple[str, ...] = ()
    part: str = ""
    text: str = ""
    value: int | None = None
    values: tuple[int, ...] = ()
    also: bool = False


def take(inbox: list[Action]) -> tuple[Action, ...]:
    """Empty the inbox and return what was in it.

    A page takes its actions when it is ready to carry them out; a run that ended before that leaves them for the next.

    Parameters
    ----------
    inbox : list of Action
        Lives in the component's memory.
    """
    taken = tuple(inbox)
    inbox.clear()
    return taken


def fresh_actions(memory: dict[str, Any], payload: object) -> list[tuple[Action, Mapping[str, Any]]]:
    """Read the actions that were not handed out before, in the order in which they were asked for.

    Parameters
    ----------
    memory : dict
        The component's memory; ``acted`` (the time of the last action handed out) is kept in it.
    payload : object
        List of ``{"t": time, "action": str, "key": str, "id": int | None, "position": int | None, ...}``; what cannot
        be read is left out.

    Returns
    -------
    list of (Action, mapping)
        Each with what the browser said about it.
    """
    found: list[tuple[float, Action, Mapping[str, Any]]] = []
    for item in payload if isinstance(payload, Sequence) and not isinstance(payload, str) else ():
        if not isinstance(item, Mapping) or not isinstance(item.get("action"), str):
            continue
        time = item.get("t")
        if isinstance(time, (int, float)) and time > memory.get("acted", 0.0):
            found.append((time, _read(item), item))
    found.sort(key=lambda entry: entry[0])
    if found:
        memory["acted"] = found[-1][0]
    return [(action, item) for _time, action, item in found]


def _read(item: Mapping[str, Any]) -> Action:
    value, values, text = item.get("value"), item.get("values"), item.get("text")
    several = values if isinstance(values, Sequence) and not isinstance(values, str) else ()
    return Action(
        item["action"],
        key=str(item.get("key", "")),
        id=_whole(item, "id"),
        position=_whole(item, "position"),
        part=str(item.get("part", "")),
        text=text if isinstance(text, str) else "",
        value=value if _is_int(value) else None,
        values=tuple(each for each in several if _is_int(each)),
        also=item.get("also") is True,
    )


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(payload: Mapping[str, Any], name: str) -> int | None:
    value = payload.get(name)
    return value if isinstance(value, int) and _is_int(value) and value >= 0 else None
