"""The curve of a simulated labelling: precision and recall over clicks, and the figures of merit that it gives.

Only this module compares labels with the truth.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.labels.log import LABEL_LIMIT
from engine.labels.simulate.desk import Count
from engine.labels.state import LabelState

PRECISION = 0.95
RECALL = 0.9


@dataclass(frozen=True)
class Point:
    """Where a labelling stands after an action.

    Attributes
    ----------
    clicks, decisions, looks : int
        Presses, answers and images looked at until then.
    labelled, right : int
        Images whose class is known and that have a label, and those whose label is right.
    """

    clicks: int
    decisions: int
    looks: int
    labelled: int
    right: int

    @property
    def precision(self) -> float:
        """Share of the labels that are right; 1 without any."""
        return self.right / self.labelled if self.labelled else 1.0


@dataclass
class Curve:
    """All points of one labelling, in order.

    Attributes
    ----------
    total : int
        Images whose class is known.
    """

    total: int
    points: list[Point] = field(default_factory=list)

    def recall(self, point: Point) -> float:
        """Return the share of the images with a known class that have the right label."""
        return point.right / self.total

    def at(self, clicks: int) -> Point | None:
        """Return the last point that so many clicks reach."""
        return next((point for point in reversed(self.points) if point.clicks <= clicks), None)

    def best(self, precision: float = PRECISION) -> Point | None:
        """Return the point with the most right labels among those of at least so high a precision."""
        held = [point for point in self.points if point.clicks and point.right and point.precision >= precision]
        return max(held, key=lambda point: (point.right, -point.clicks), default=None)

    def reached(self, recall: float = RECALL, precision: float = PRECISION) -> Point | None:
        """Return the first point at which so large a share has the right label at such a precision; None: never."""
        points = (point for point in self.points if self.recall(point) >= recall and point.precision >= precision)
        return next(points, None)

    def right_per_click(self, recall: float = RECALL, precision: float = PRECISION) -> float:
        """Return the right labels per click at `reached(recall, precision)`.

        Where that is never reached it is that of `best(precision)`, and 0 where the precision is never held.
        """
        point = self.reached(recall, precision) or self.best(precision)
        return point.right / point.clicks if point else 0.0

    def clicks_to(self, recall: float = RECALL, precision: float = PRECISION) -> int | None:
        """Return the clicks at `reached(recall, precision)`."""
        point = self.reached(recall, precision)
        return point.clicks if point else None


class Judge:
    """Compares labels with the truth and keeps the curve.

    Parameters
    ----------
    truth : (n,) sequence of str or None
        Classes by the labels that the person types for them.
    """

    def __init__(self, truth: Sequence[str | None]) -> None:
        self.truth = np.array([one if one is not None else "" for one in truth], np.str_)
        self.known = np.array([one is not None for one in truth], bool)
        self.curve = Curve(int(self.known.sum()))

    def __call__(self, state: LabelState, count: Count) -> None:
        """Add the point of a state."""
        names = np.array([*state.label_names, ""], np.str_)
        has = (state.codes >= 0) & self.known
        right = int(np.count_nonzero(names[state.codes[has]] == self.truth[has]))
        self.curve.points.append(Point(count.clicks, count.decisions, count.looks, int(has.sum()), right))


def typed_names(truth: Sequence[str | None]) -> list[str | None]:
    """Return what a person would type for each class: no control characters, short enough, each class another name.

    Parameters
    ----------
    truth : sequence of str or None
    """
    typed: dict[str, str] = {}
    for name in sorted({one for one in truth if one is not None}):
        shown = "".join(letter for letter in name if unicodedata.category(letter) not in ("Cc", "Cs"))
        short = " ".join(unicodedata.normalize("NFC", shown).split())[:LABEL_LIMIT].strip() or "class"
        number = 2
        while (found := short) in typed.values():
            short = f"{found[: LABEL_LIMIT - 8].rstrip()} {number}"
            number += 1
        typed[name] = short
    return [None if one is None else typed[one] for one in truth]
