"""The rounds of k-means on a GPU, by torch; the same seed gives the same clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.core.vectors import Vectors

if TYPE_CHECKING:
    import torch

_CELLS = 2**27  # of one block of scores: half a GiB in float32
_STILL = 1e-5  # relative change of the cost below which the rounds end


def rounds(rows: Vectors, start: Vectors, *, spherical: bool, max_iter: int, device: str) -> tuple[Vectors, float]:
    """Return (K, c) centres after at most `max_iter` rounds from `start`, and the cost of the last assignment.

    Sums of clusters are products with a matrix of zeros and ones, whose order is fixed, and not additions in the order
    in which the processors come; a cluster that lost all its rows begins anew at the rows that are served worst.

    Parameters
    ----------
    rows : (n, c) float32
        Unit length when `spherical`.
    start : (K, c) float32
    spherical : bool
        The cost is minus the sum of cosines; else the sum of squared distances.
    device : str
        Of torch.

    References
    ----------
    Lloyd, Least squares quantization in PCM, 1982.
    Dhillon and Modha, Concept decompositions for large sparse text data using clustering, 2001.
    """
    import torch

    points = torch.from_numpy(np.ascontiguousarray(rows, np.float32)).to(device)
    centers = torch.from_numpy(np.ascontiguousarray(start, np.float32)).to(device)
    squares = None if spherical else (points * points).sum(dim=1)
    before = cost = float("inf")
    for _ in range(max_iter):
        sums, sizes, score, fit = _assigned(points, centers, spherical=spherical)
        cost = -score if spherical or squares is None else float(squares.sum(dtype=torch.float64)) - 2 * score
        centers = _means(points, centers, sums, sizes, fit if squares is None else fit - squares / 2, spherical)
        if abs(before - cost) <= _STILL * abs(cost):
            break
        before = cost
    return centers.cpu().numpy(), cost


def _assigned(
    points: torch.Tensor, centers: torch.Tensor, *, spherical: bool
) -> tuple[torch.Tensor, torch.Tensor, float, torch.Tensor]:
    """Return each centre's sum and number of rows, the sum of the best scores, and the best score of each row."""
    import torch

    count, clusters = len(points), len(centers)
    shift = 0 if spherical else (centers * centers).sum(dim=1) / 2
    sums, sizes = torch.zeros_like(centers), torch.zeros(clusters, device=points.device)
    fit = torch.empty(count, device=points.device)
    block = max(1, _CELLS // clusters)
    for first in range(0, count, block):
        part = points[first : first + block]
        best, nearest = (part @ centers.T - shift).max(dim=1)
        member = torch.zeros(len(part), clusters, device=points.device).scatter_(1, nearest[:, None], 1.0)
        sums += member.T @ part
        sizes += member.sum(dim=0)
        fit[first : first + block] = best
    return sums, sizes, float(fit.sum(dtype=torch.float64 if points.device.type != "mps" else torch.float32)), fit


def _means(
    points: torch.Tensor,
    centers: torch.Tensor,
    sums: torch.Tensor,
    sizes: torch.Tensor,
    fit: torch.Tensor,
    spherical: bool,
) -> torch.Tensor:
    import torch

    means = sums / sizes.clamp(min=1)[:, None]
    empty = torch.nonzero(sizes == 0)[:, 0]
    if len(empty):
        worst = fit.topk(min(len(empty), len(points)), largest=False).indices
        means[empty[: len(worst)]] = points[worst]
        means[empty[len(worst) :]] = centers[empty[len(worst) :]]
    return torch.nn.functional.normalize(means, dim=1) if spherical else means
