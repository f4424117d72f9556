"""Islands of a map drawn nearer to one another.

UMAP and t-SNE place groups that share no neighbours anywhere: the empty space between them says nothing, and it takes
the room that the images need. Each island keeps its shape, its scale and its direction from the middle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.core.vectors import Vectors

_NEAR = 5  # the distance to this neighbour tells how densely a map is drawn
_REACH = 3.0  # images within so many of those distances of one another lie on one island
_SAMPLE = 20_000  # images whose neighbours are asked for
_CELLS = 2000  # most cells along the longer side of the grid that tells islands apart
_DUST = 0.002  # an island with a smaller share of the images goes with the nearest larger one
_MOST = 400  # more islands than this are dust: they stay where they are
_GAP = 0.2  # space kept around each island, as a share of the side of a usual one
_STEPS = 60  # places that are tried on the way to the middle


def draw_together(layout: Vectors) -> Vectors:
    """Return the map with the empty space between its islands closed.

    Images lie on one island where steps of at most about three times the median distance to the fifth neighbour lead
    from one to the other; an island of less than .2% of the images goes with the nearest larger one.
    Beginning with the one nearest to the middle, each moves straight towards it as far as its box, with a margin,
    meets none of those already placed.

    Parameters
    ----------
    layout : (n, 2) float32

    Returns
    -------
    (n, 2) float32
        The same array where there is one island, or more than 400.
    """
    if len(layout) < 2:
        return layout
    island = _islands(layout)
    count = int(island.max()) + 1
    if not 1 < count <= _MOST:
        return layout
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    np.minimum.at(low, island, layout)
    np.maximum.at(high, island, layout)
    centers, halves = (low + high) / 2, (high - low) / 2
    weights = np.bincount(island)
    margin = _GAP * np.average(2 * halves.max(axis=1), weights=weights) / 2
    halves = halves + max(margin, 1e-9)
    middle = np.average(centers, axis=0, weights=weights)
    placed = centers.copy()
    order = np.argsort(np.linalg.norm(centers - middle, axis=1), kind="stable")
    ways = np.linspace(0, 1, _STEPS + 1)
    for rank, one in enumerate(order):
        before = order[:rank]
        tried = middle + ways[:, None] * (centers[one] - middle)
        apart = np.abs(tried[:, None] - placed[before]) >= halves[before] + halves[one]
        free = apart.any(axis=2).all(axis=1)
        # From outside to the middle: the last free place before the first that is taken.
        taken = np.flatnonzero(~free)
        first = int(taken[-1]) + 1 if len(taken) else 0
        placed[one] = tried[min(first, _STEPS)]
    return (layout + (placed - centers)[island]).astype(np.float32)


def _islands(layout: Vectors) -> NDArray[np.intp]:
    """Return the number of the island that each image lies on."""
    from scipy.ndimage import binary_dilation, label
    from scipy.spatial import cKDTree

    count = len(layout)
    tree = cKDTree(layout)
    asked = layout[:: max(1, count // _SAMPLE)]
    distances = np.asarray(tree.query(asked, k=[min(_NEAR + 1, count)])[0])
    reach = _REACH * float(np.median(distances))
    low = layout.min(axis=0)
    side = float((layout.max(axis=0) - low).max())
    if reach <= 0 or side <= reach:
        return np.zeros(count, dtype=np.intp)
    across = int(np.clip(2 * side / reach, 1, _CELLS))
    cells = np.minimum(((layout - low) / side * across).astype(np.intp), across - 1)
    grid = np.zeros((across, across), dtype=bool)
    grid[cells[:, 0], cells[:, 1]] = True
    parts, _ = label(binary_dilation(grid, np.ones((3, 3), dtype=bool)), structure=np.ones((3, 3), dtype=int))
    island = parts[cells[:, 0], cells[:, 1]]
    sizes = np.bincount(island)
    large = sizes[island] >= max(2, _DUST * count)
    if large.any() and not large.all():
        nearest = cKDTree(layout[large]).query(layout[~large])[1]
        island[~large] = island[large][nearest]
    return np.unique(island, return_inverse=True)[1].reshape(-1)
