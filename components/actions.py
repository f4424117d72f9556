"""What a key or a button in the gallery or on the map asks of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

# Keys that are passed on, and the action each names; a page may give its own.
DEFAULT_KEYS: Mapping[str, str] = MappingProxyType(
    {
        **{str(digit): "label" for digit in range(1, 10)},
        "x": "reject",
        "m": "merge",
        "/": "search",
        "n": "neighbours",
        "p": "show_on_map",
        "Ctrl+z": "undo",
        "Ctrl+Shift+z": "redo",
    }
)


@dataclass(frozen=True)
class Action:
    """One thing the person asked for; it lasts for one run.

    Attributes
    ----------
    action : str
        ``label`` (keys 1-9), ``reject`` (x), ``merge`` (m), ``search`` (/), ``undo``, ``redo``, ``neighbours`` (n),
        ``show_on_map`` (p), or what the page named its own keys and buttons.
    key : str
        The key pressed, such as ``"3"`` or ``"Ctrl+z"``; empty when a button was used.
    id : int or None
        The image under the cursor, pinned, or open full screen.
    position : int or None
        Its place in display order (gallery) or its row (map).
    """

    action: str
    key: str = ""
    id: int | None = None
    position: int | None = None


def read_action(payload: object) -> Action | None:
    """Read an action the browser sent; None when there is none or it cannot be read.

    Parameters
    ----------
    payload : object
        ``{"action": str, "key": str, "id": int | None, "position": int | None}``.
    """
    if not isinstance(payload, Mapping) or not isinstance(payload.get("action"), str):
        return None
    return Action(payload["action"], str(payload.get("key", "")), _whole(payload, "id"), _whole(payload, "position"))


def _whole(payload: Mapping[str, Any], name: str) -> int | None:
    value = payload.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
