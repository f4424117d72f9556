"""The grid of a sweep: the candidates that each method in the registry declares for a mode.

Flows in: the number of images and the person's settings. Flows out: candidates without repeats, cut
fairly across methods when there are too many.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from engine.clustering.registry import METHODS, find_method
from engine.clustering.sweep_scope import SweepMode, SweepScope
from engine.core.settings import Settings

ALGORITHMS = tuple(method.name for method in METHODS.values() if method.sweeps)


@dataclass(frozen=True)
class Candidate:
    """One method with the settings that differ from its defaults.

    Attributes
    ----------
    algorithm : str
        A name in the registry of methods.
    parameters : tuple of (name, value)
        In the order of declaration.
    """

    algorithm: str
    parameters: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, algorithm: str, **parameters: Any) -> Candidate:  # noqa: ANN401 - any setting's value
        """Build one, its parameters checked against the method's settings model."""
        settings = find_method(algorithm).settings_class.parse(parameters)
        values = settings.model_dump(mode="json")
        return cls(algorithm, tuple((name, values[name]) for name in values if name in parameters))

    @property
    def settings(self) -> Settings:
        """The method's whole settings."""
        return find_method(self.algorithm).settings_class.parse(dict(self.parameters))

    @property
    def reduce(self) -> str:
        """The space it works in."""
        return find_method(self.algorithm).reduction(self.settings)

    def key(self, *context: object) -> str:
        """Return 32 hex digits that name this candidate on given data."""
        text = json.dumps([self.algorithm, self.settings.key(), [str(item) for item in context]])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def scaled(self, ratio: float) -> Candidate:
        """Return the candidate for a sample of `ratio` of the images: minimum cluster sizes shrink with it."""
        values = dict(self.parameters)
        if "min_cluster_size" not in values:
            return self
        return Candidate.of(
            self.algorithm, **{**values, "min_cluster_size": max(3, round(values["min_cluster_size"] * ratio))}
        )


def cluster_range(
    count: int, *, lowest: int | None = None, highest: int | None = None, wanted: int | None = None
) -> tuple[int, int]:
    """Return (kmin, kmax), the bounds of the numbers of clusters that are tried.

    2 and 300, or half and double what the person expects; what the person set as a bound holds before either. At most
    a fifth of the images.
    """
    most = max(2, count // 5)
    if wanted is not None:
        lowest = max(2, wanted // 2) if lowest is None else lowest
        highest = 2 * wanted if highest is None else highest
    kmax = max(2, min(300 if highest is None else highest, most))
    return min(2 if lowest is None else lowest, kmax), kmax


def candidates(
    count: int,
    mode: SweepMode,
    *,
    wanted: int | None = None,
    lowest: int | None = None,
    highest: int | None = None,
    algorithms: tuple[str, ...] = ALGORITHMS,
    limit: int | None = None,
    random_state: int = 0,
) -> list[Candidate]:
    """Return what `mode` tries on `count` images.

    Parameters
    ----------
    wanted : int, optional
        About how many clusters the person expects.
    lowest, highest : int, optional
        Bounds of the number of clusters.
    algorithms : tuple of str
        Methods to try.
    limit : int, optional
        At most so many, taken in turn from every method, evenly along each method's own grid.
    """
    kmin, kmax = cluster_range(count, lowest=lowest, highest=highest, wanted=wanted)
    scope = SweepScope(count, mode, kmin, kmax, wanted)
    grid: dict[Candidate, None] = {}
    for method in (METHODS[name] for name in ALGORITHMS if name in algorithms):
        for settings in method.sweep_grid(scope):
            values = settings.model_dump(include=settings.model_fields_set)
            if "random_state" in type(settings).model_fields:
                values["random_state"] = random_state + values.get("random_state", 0)
            grid[Candidate.of(method.name, **values)] = None
    return list(grid) if limit is None or len(grid) <= limit else _cut(list(grid), limit)


def in_turn(grid: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates in the order in which they should run, so that good cheap ones come first.

    Every method and space gets its turn, cheap ones first, and begins in the middle of its own grid. What trains a
    network comes last.
    """
    ordered: list[Candidate] = []
    for kind in ("fast", "deep"):
        strata: dict[tuple[str, str], list[Candidate]] = {}
        for candidate in grid:
            if find_method(candidate.algorithm).kind == kind:
                strata.setdefault((candidate.algorithm, candidate.reduce), []).append(candidate)
        turns = zip_longest(*(_middle_first(stratum) for stratum in strata.values()))
        ordered += [candidate for turn in turns for candidate in turn if candidate is not None]
    return ordered


def _middle_first(grid: list[Candidate]) -> list[Candidate]:
    """Return the middle one, then the middle of each half, and so on."""
    parts, ordered = deque([grid]), list[Candidate]()
    while parts:
        part = parts.popleft()
        if part:
            half = len(part) // 2
            ordered.append(part[half])
            parts.extend((part[:half], part[half + 1 :]))
    return ordered


def _cut(grid: list[Candidate], limit: int) -> list[Candidate]:
    """Keep `limit` candidates: every method and space gets its turn, and its share is spread evenly."""
    strata: dict[tuple[str, str], list[int]] = {}
    for number, candidate in enumerate(grid):
        strata.setdefault((candidate.algorithm, candidate.reduce), []).append(number)
    shares = dict.fromkeys(strata, 0)
    left = limit
    while left:
        for name, numbers in strata.items():
            if left and shares[name] < len(numbers):
                shares[name] += 1
                left -= 1
    kept = {
        numbers[int(at)]
        for name, numbers in strata.items()
        if shares[name]
        for at in np.linspace(0, len(numbers) - 1, shares[name]).round()
    }
    return [candidate for number, candidate in enumerate(grid) if number in kept]
