"""How sure a set of labels is: who said them, and how many an audit covers. Every report begins with its sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.labels.state import IMPORTED, SOURCE_NAMES

_WORDS = {
    "by you": "labelled by you",
    "cluster name": "by the name of their cluster, not looked at one by one",
    "accepted guess": "by accepted guesses",
    "imported": "imported",
    "none": "without a label",
}


@dataclass(frozen=True)
class LabelQuality:
    """Counts of labels.

    Attributes
    ----------
    by_source : dict of str to int
        "by you", "cluster name", "accepted guess", "imported" where there is one, "none", in this order.
    audited : int
        Labels that an audit covers.
    least : float
        The lowest purity that an audit proves, NaN without one.
    """

    by_source: dict[str, int]
    audited: int
    least: float

    @classmethod
    def count(cls, sources: Sequence[str], bounds: NDArray[np.floating]) -> LabelQuality:
        """Count (n,) sources in words and their audit bounds, NaN without an audit."""
        found = Counter(sources)
        proven = bounds[np.isfinite(bounds)]
        names = [name for name in SOURCE_NAMES[1:] if found[name] or name != SOURCE_NAMES[IMPORTED]]
        return cls(
            {name: found[name] for name in (*names, SOURCE_NAMES[0])},
            len(proven),
            float(proven.min()) if len(proven) else float("nan"),
        )

    @property
    def labelled(self) -> int:
        """How many have a label."""
        return sum(count for name, count in self.by_source.items() if name != "none")

    def sentences(self) -> list[str]:
        """Return what is known of the labels, for a person."""
        total = sum(self.by_source.values())
        parts = [f"{count:,} {_WORDS[name]}" for name, count in self.by_source.items() if count]
        told = [f"{total:,} image{'' if total == 1 else 's'}: {', '.join(parts)}." if total else "No images."]
        if self.audited:
            share = three_digits(100 * self.audited / max(self.labelled, 1))
            least = three_digits(np.floor(1000 * self.least + 1e-6) / 10)
            told.append(
                f"An audit covers {self.audited:,} of {self.labelled:,} labels ({share}%): "
                f"at least {least}% of these are right, with the confidence of the audit."
            )
        elif self.labelled > self.by_source["by you"]:
            told.append("No audit covers any of these labels.")
        return told


def three_digits(value: object) -> str:
    """Return a value for a person to read: numbers with at most three significant digits, whole numbers whole."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return str(value)
    number = float(value)
    if not np.isfinite(number):
        return "unknown"
    if number == round(number) or abs(number) >= 1000:
        return f"{number:,.0f}"
    return np.format_float_positional(number, precision=3, unique=False, fractional=False, trim="-")
