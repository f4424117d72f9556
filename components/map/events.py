"""What goes into the map's legend and what comes back from the map."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from components.actions import Action, take
from components.map.polygon import Region

# What the map itself sends through the same channel.
OWN_ACTIONS = ("open", "category")


@dataclass(frozen=True)
class LegendEntry:
    """Name and colour of one category code.

    Attributes
    ----------
    name : str
        Shown as text, whatever it contains.
    color : str or None
        ``#RRGGBB``; None takes the palette's colour for the code.
    noise : bool
        Grey, and listed last.
    """

    name: str
    color: str | None = None
    noise: bool = False


@dataclass(frozen=True)
class MapEvent:
    """What the map reports about the points it was given.

    Attributes
    ----------
    regions : tuple of Region
        The shapes that are drawn now, in order; they stay over reruns until Esc, a new shape or new coordinates.
    mask : ndarray of bool, shape (n,), or None
        Which points they hold; None while nothing is drawn.
    clicked : int or None
        Row of the point that was clicked in this run.
    pinned : int or None
        Row of the pinned point; it stays over reruns.
    cleared : bool
        True in the run in which the regions were removed.
    webgl : bool
        False when the plotly chart stands in.
    inbox : list of Action
        Actions nobody has taken yet; read `actions`, `opened` and `category` instead.
    """

    regions: tuple[Region, ...] = ()
    mask: NDArray[np.bool_] | None = field(default=None, repr=False)
    clicked: int | None = None
    pinned: int | None = None
    cleared: bool = False
    webgl: bool = True
    inbox: list[Action] = field(default_factory=list, repr=False)

    @cached_property
    def _taken(self) -> tuple[Action, ...]:
        return take(self.inbox)

    def _last(self, action: str) -> int | None:
        return next((taken.position for taken in reversed(self._taken) if taken.action == action), None)

    @property
    def left(self) -> tuple[Action, ...]:
        """Everything that was asked for on the map, its own clicks too, and not looked at before; reading takes it."""
        return self._taken

    @property
    def actions(self) -> tuple[Action, ...]:
        """Keys of the page pressed on the map that were not looked at before, in order; reading takes them."""
        return tuple(action for action in self._taken if action.action not in OWN_ACTIONS)

    @property
    def opened(self) -> int | None:
        """Row of the point that was just double-clicked or entered; reported once."""
        return self._last("open")

    @property
    def category(self) -> int | None:
        """Code of the legend entry that was just clicked; reported once."""
        return self._last("category")

    @property
    def activated(self) -> Action | None:
        """The last of `actions`, or None."""
        return self.actions[-1] if self.actions else None

    @property
    def polygon(self) -> NDArray[np.float64] | None:
        """Corners of the last drawn shape, shape (k, 2), or None."""
        return self.regions[-1].polygon if self.regions else None

    @property
    def count(self) -> int:
        """Number of points in the drawn regions; 0 while nothing is drawn."""
        return 0 if self.mask is None else int(np.count_nonzero(self.mask))
