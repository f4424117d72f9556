"""The simulated person: says what they take an image for, now and then wrongly, and what a page of images holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError

Rows = NDArray[np.int64]
CANNOT_TELL = -1


class Person:
    """Someone who knows the truth and errs at a rate.

    Each time they look at an image they take it, with the chance `error_rate`, for another class, drawn evenly. A
    second look is a fresh one, so they may contradict themselves. Of an image without truth they cannot tell anything:
    they neither call it odd nor label it.

    Parameters
    ----------
    truth : sequence of str or None
        The class of each of n images, None where it is not known.
    error_rate : float
        In [0, 1).
    random_state : int

    Raises
    ------
    InputError
        No truth at all, or an error rate out of range.
    """

    def __init__(self, truth: Sequence[str | None], *, error_rate: float = 0.0, random_state: int = 0) -> None:
        if not 0 <= error_rate < 1:
            raise InputError(f"The error rate must lie between 0 and 1, not at {error_rate:g}.")
        self.names = sorted({one for one in truth if one is not None})
        if not self.names:
            raise InputError(
                "No image has a class that is known, so nobody can be simulated.",
                "Name class folders as the truth, or give labels with the vectors.",
            )
        numbers = {name: number for number, name in enumerate(self.names)}
        self.error_rate = error_rate
        self._truth = np.array([CANNOT_TELL if one is None else numbers[one] for one in truth], np.int64)
        self._rng = np.random.default_rng(random_state)

    def look(self, rows: Rows) -> Rows:
        """Return what each of (m,) images is taken for: 0..C-1, -1 where they cannot tell."""
        seen = self._truth[rows].copy()
        if self.error_rate and len(self.names) > 1:
            errs = (self._rng.random(len(rows)) < self.error_rate) & (seen >= 0)
            other = self._rng.integers(1, len(self.names), len(rows))
            seen[errs] = (seen[errs] + other[errs]) % len(self.names)
        return seen


def commonest(seen: Rows) -> int:
    """Return the class that most of (m,) answers name, the lowest on a tie; -1 where none names one."""
    known = seen[seen >= 0]
    return int(np.bincount(known).argmax()) if len(known) else CANNOT_TELL
