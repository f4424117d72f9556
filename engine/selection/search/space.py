"""The space of a hyper-parameter search: a method's own, or what a person gives in its place, checked.

In a space a list is choices and a tuple (low, high) is a range, on a logarithmic scale where the setting says so.
People write a range as "2..20" and choices as "none, pca-32".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from engine.core.errors import InputError
from engine.core.settings import Control, Settings, controls

Space = Mapping[str, Sequence[Any] | tuple[float, float]]
GRID_POINTS = 4
LARGEST_GRID = 1_000_000
AUTOMATIC = "automatic"


@dataclass(frozen=True)
class Dimension:
    """One searched setting: `choices`, or a range from `low` to `high`."""

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False

    def suggest(self, trial: Any) -> Any:  # noqa: ANN401 - an Optuna trial; a setting's value
        """Ask an Optuna trial for a value."""
        if self.choices:
            return trial.suggest_categorical(self.name, list(self.choices))
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)

    def grid(self) -> list[Any]:
        """Return every choice, or `GRID_POINTS` values over the range, both ends included."""
        if self.choices:
            return list(self.choices)
        spaced = np.geomspace if self.log else np.linspace
        points = spaced(self.low, self.high, GRID_POINTS)
        if self.whole:
            return sorted({round(float(point)) for point in points})
        return [float(point) for point in points]


def default_space(model: type[Settings], n: int) -> dict[str, Sequence[Any] | tuple[float, float]]:
    """Return the method's own space for `n` images.

    At most n // 2 clusters, n // 4 images that a cluster must have, and n - 1 neighbours.
    """
    space: dict[str, Sequence[Any] | tuple[float, float]] = {}
    ceilings = {"n_clusters": max(2, n // 2), "min_cluster_size": max(2, n // 4), "n_neighbors": max(2, n - 1)}
    for control in controls(model):
        if control.search is None:
            continue
        if isinstance(control.search, tuple) and control.name in ceilings:
            low, high = control.search
            top = min(high, ceilings[control.name])
            space[control.name] = (min(low, top), top)
        else:
            space[control.name] = control.search
    return space


def parse_space(model: type[Settings], written: Mapping[str, str]) -> dict[str, Sequence[Any] | tuple[float, float]]:
    """Return the space that a person wrote, setting -> "2..20" or "1, 5, 10"; "automatic" is a setting left empty.

    Raises
    ------
    InputError
        An unknown setting, or values that are not of its kind.
    """
    known = {control.name: control for control in controls(model)}
    space: dict[str, Sequence[Any] | tuple[float, float]] = {}
    for name, text in written.items():
        if name not in known:
            raise InputError(f"There is no setting {name!r} to search.", f"Known: {', '.join(known)}.")
        ends = [part.strip() for part in text.split("..")]
        if len(ends) == 2 and all(ends):
            if known[name].kind not in ("int", "float"):
                raise InputError(f"{name} has no range.", f"Write choices: {name}=A,B.")
            low, high = (_value(known[name], end) for end in ends)
            space[name] = (low, high)
        else:
            space[name] = [_value(known[name], part.strip()) for part in text.split(",") if part.strip()]
    return space


def _value(control: Control, text: str) -> Any:  # noqa: ANN401 - a setting's value
    """Return one written value as the setting has it."""
    if control.optional and text == AUTOMATIC:
        return None
    if control.kind == "bool":
        if text.lower() not in ("true", "false", "yes", "no", "on", "off"):
            raise InputError(f"{control.name}: {text!r} is neither true nor false.")
        return text.lower() in ("true", "yes", "on")
    if control.kind == "list":
        raise InputError(f"{control.name} is a list and cannot be searched.", "Leave it out of the space.")
    try:
        if control.kind == "int":
            return int(text)
        if control.kind == "float":
            return float(text)
    except ValueError as error:
        raise InputError(
            f"{control.name}: {text!r} is not a{' whole' if control.kind == 'int' else ''} number.",
            'Write a range as "2..20" or choices as "2, 5, 10".',
        ) from error
    return next((choice for choice in control.choices if str(choice) == text), text)


def written_space(space: Space) -> dict[str, str]:
    """Return a space as people write it; `parse_space` reads it back."""
    return {
        name: "..".join(str(end) for end in wanted)
        if isinstance(wanted, tuple)
        else ", ".join(AUTOMATIC if value is None else str(value) for value in wanted)
        for name, wanted in space.items()
    }


def check_space(base: Settings, space: Space) -> list[Dimension]:
    """Return the dimensions of a space, checked against the settings that every trial starts from.

    Raises
    ------
    InputError
        Unknown setting, empty choices, a range the wrong way round or outside the setting's bounds.
    """
    model = type(base)
    if not space:
        raise InputError(
            f"{model.__name__} has nothing to search.", "Give a space: a list of choices or a (low, high) range."
        )
    known = {control.name: control for control in controls(model)}
    unknown = [name for name in space if name not in known]
    if unknown:
        raise InputError(f"There is no setting {unknown[0]!r} to search.", f"Known: {', '.join(known)}.")
    return [_dimension(known[name], base, wanted) for name, wanted in space.items()]


def _dimension(control: Control, base: Settings, wanted: Any) -> Dimension:  # noqa: ANN401 - choices or a range
    if isinstance(wanted, tuple):
        if len(wanted) != 2 or isinstance(wanted[0], str) or not wanted[0] <= wanted[1]:
            raise InputError(f"{control.name}: a range is a pair (low, high), not {wanted!r}.")
        if control.kind not in ("int", "float"):
            raise InputError(f"{control.name} has no range; give a list of choices.")
        low, high = wanted
        ends: Sequence[Any] = (int(low), int(high)) if control.kind == "int" else wanted
        _check(base, control.name, ends)
        log = control.log and low > 0
        return Dimension(control.name, low=low, high=high, whole=control.kind == "int", log=log)
    choices = tuple(wanted)
    if not choices:
        raise InputError(f"{control.name}: there is no choice to try.")
    _check(base, control.name, choices)
    return Dimension(control.name, choices=choices)


def _check(base: Settings, name: str, values: Sequence[Any]) -> None:
    for value in values:
        base.changed(**{name: value})


def grid_size(dimensions: Sequence[Dimension]) -> int:
    """Return how many combinations the dimensions' grids have."""
    return prod(len(dimension.grid()) for dimension in dimensions)


def grid_of(
    dimensions: Sequence[Dimension], *, most: int | None = None, random_state: int | None = None
) -> list[dict[str, Any]]:
    """Return the combinations of the dimensions' grids.

    Parameters
    ----------
    most : int, optional
        Return so many at most; of the same order, so a larger number adds to a smaller one.
    random_state : int, optional
        Seed of the order; the grid's own order without one.

    Raises
    ------
    InputError
        More than a million combinations.
    """
    count = grid_size(dimensions)
    if count > LARGEST_GRID:
        raise InputError(
            f"The grid has {count:,} combinations.", "Search fewer settings or values, or search at random."
        )
    order = np.arange(count) if random_state is None else np.random.default_rng(random_state).permutation(count)
    grids = [dimension.grid() for dimension in dimensions]
    places = np.unravel_index(order[:most], [len(grid) for grid in grids])
    return [
        {dimension.name: grid[at] for dimension, grid, at in zip(dimensions, grids, row, strict=True)}
        for row in zip(*(place.tolist() for place in places), strict=True)
    ]
