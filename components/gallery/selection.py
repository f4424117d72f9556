"""Turns what the gallery sends (ranges, "all but" ranges or bits) into masks and index arrays, and back.

Positions are places in display order. The wire never carries one number per image: a range costs two numbers, and
selections with very many ranges travel as a bitmask of n / 8 bytes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.actions import Action, take

MAX_RANGES = 4000


def decode(payload: Mapping[str, Any] | None, n: int) -> NDArray[np.bool_]:
    """Resolve a selection sent by the browser.

    Parameters
    ----------
    payload : mapping or None
        ``{"k": "none"}``, ``{"k": "ranges" | "all_but", "r": [start, stop, start, stop, ...]}`` with half-open
        ranges, or ``{"k": "bits", "b": base64}`` with the least significant bit first. None selects nothing.
    n : int
        Number of positions.

    Returns
    -------
    ndarray of bool, shape (n,)
        What lies outside 0..n-1 is ignored; a payload that cannot be read selects nothing.
    """
    mask = np.zeros(n, dtype=bool)
    kind = payload.get("k") if isinstance(payload, Mapping) else None
    if payload is None or kind in (None, "none"):
        return mask
    if kind == "bits":
        try:
            raw = np.frombuffer(base64.b64decode(str(payload.get("b", "")), validate=True), dtype=np.uint8)
        except (binascii.Error, ValueError):
            return mask
        bits = np.unpackbits(raw, bitorder="little", count=min(n, raw.size * 8))
        mask[: bits.size] = bits.astype(bool)
        return mask
    try:
        edges = np.asarray(payload.get("r", []), dtype=np.int64)
    except (TypeError, ValueError, OverflowError):
        return mask
    if edges.ndim != 1 or edges.size % 2:
        return mask
    pairs = np.clip(edges.reshape(-1, 2), 0, n)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    steps = np.zeros(n + 1, dtype=np.int64)
    np.add.at(steps, pairs[:, 0], 1)
    np.add.at(steps, pairs[:, 1], -1)
    mask = np.cumsum(steps)[:n] > 0
    return ~mask if kind == "all_but" else mask


def encode(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Write a mask the way the browser understands it; the inverse of `decode`.

    Parameters
    ----------
    mask : ndarray of bool, shape (n,)
    """
    if not mask.any():
        return {"k": "none"}
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    if edges.size // 2 > MAX_RANGES:
        return {"k": "bits", "b": base64.b64encode(np.packbits(mask, bitorder="little").tobytes()).decode()}
    return {"k": "ranges", "r": edges.tolist()}


@dataclass(frozen=True)
class GallerySelection:
    """What the gallery reports for the ids it was given.

    Attributes
    ----------
    ids : ndarray of int32, shape (n,)
        The ids that were given, in display order.
    mask : ndarray of bool, shape (n,)
        Which of them are selected.
    opened : int or None
        Id of the image that was just opened full screen (or stepped to); None in runs where that did not happen.
    viewing : int or None
        Id of the image that stays open full screen, over reruns.
    order : str
        The order chosen in the menu (a key of `orders`), else the given default.
    together : bool
        Whether they were selected all at once (Ctrl+A) and not one by one.
    all_seen : bool
        Whether every image was on the screen, since these ids are shown; only where it was asked for.
    inbox : list of Action
        Actions nobody has taken yet; read `actions` instead.
    """

    ids: NDArray[np.int32]
    mask: NDArray[np.bool_] = field(repr=False)
    opened: int | None = None
    viewing: int | None = None
    order: str = ""
    together: bool = False
    all_seen: bool = False
    inbox: list[Action] = field(default_factory=list, repr=False)

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        """Keys and buttons that were not looked at before, in order; several when the person was faster than the page.

        Reading them takes them: they are not reported again. A run that ends before leaves them for the next.
        """
        return take(self.inbox)

    @property
    def activated(self) -> Action | None:
        """The last of `actions`, or None."""
        return self.actions[-1] if self.actions else None

    @cached_property
    def selected(self) -> NDArray[np.int64]:
        """Positions of the selected images, ascending, shape (count,)."""
        return np.flatnonzero(self.mask)

    @property
    def selected_ids(self) -> NDArray[np.int32]:
        """Ids of the selected images in display order, shape (count,)."""
        return self.ids[self.mask]

    @property
    def count(self) -> int:
        """Number of selected images."""
        return int(self.selected.size)
