"""Probabilities of accepted guesses inside an event: half precision, three digits, two bytes for each image."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray


def pack(probability: NDArray[np.floating]) -> str:
    """Return (m,) probabilities as text for an event's detail."""
    return base64.b64encode(np.asarray(probability, "<f2").tobytes()).decode("ascii")


def unpack(text: str | None, count: int) -> NDArray[np.float32]:
    """Return the (count,) probabilities, NaN where the event holds none or not as many."""
    found = np.frombuffer(base64.b64decode(text or ""), "<f2").astype(np.float32)
    return found if len(found) == count else np.full(count, np.nan, np.float32)
