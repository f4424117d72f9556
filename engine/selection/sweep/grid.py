"""What the sweep tries: for each mode a deterministic list of candidates, a method with its settings.

Flows in: the number of images and the wishes of the person. Flows out: candidates without repeats, cut
fairly across methods when there are too many.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from engine.clustering.registry import find_method
from engine.core.settings import Settings

Mode = Literal["fast", "balanced", "comprehensive", "gpu"]
ALGORITHMS = ("kmeans", "gaussian_mixture", "hdbscan", "dbscan")


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
        return str(dict(self.settings.model_dump()).get("reduce", "none"))

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


def cluster_range(count: int, *, lowest: int | None = None, highest: int | None = None) -> tuple[int, int]:
    """Return (kmin, kmax): max(2, min(10, n//20)) and min(300 or the user's, n//5)."""
    kmin = lowest if lowest is not None else max(2, min(10, count // 20))
    kmax = max(2, min(300 if highest is None else highest, count // 5))
    return min(kmin, kmax), kmax


def candidates(
    count: int,
    mode: Mode,
    *,
    target_size: int = 200,
    lowest: int | None = None,
    highest: int | None = None,
    algorithms: tuple[str, ...] = ALGORITHMS,
    limit: int | None = None,
    random_state: int = 0,
) -> list[Candidate]:
    """Return what `mode` tries on `count` images.

    Parameters
    ----------
    target_size : int
        Images per cluster that the person expects; k0 = count / target_size.
    lowest, highest : int, optional
        Bounds of the number of clusters.
    algorithms : tuple of str
        Methods to try.
    limit : int, optional
        At most so many, taken in turn from every method, evenly along each method's own grid.
    """
    grid = {"fast": _fast, "balanced": _balanced, "gpu": _balanced, "comprehensive": _comprehensive}[mode]
    found: dict[Candidate, None] = {}
    for candidate in grid(count, float(target_size), *cluster_range(count, lowest=lowest, highest=highest)):
        if candidate.algorithm in algorithms:
            values = dict(candidate.parameters)
            values["random_state"] = random_state + values.get("random_state", 0)
            found[Candidate.of(candidate.algorithm, **values)] = None
    chosen = list(found)
    return chosen if limit is None or len(chosen) <= limit else _cut(chosen, limit)


def _cut(chosen: list[Candidate], limit: int) -> list[Candidate]:
    """Keep `limit` candidates: every method and space gets its turn, and its share is spread evenly."""
    strata: dict[tuple[str, str], list[int]] = {}
    for number, candidate in enumerate(chosen):
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
    return [candidate for number, candidate in enumerate(chosen) if number in kept]


def _clusters(k0: float, factors: tuple[float, ...], kmin: int, kmax: int) -> list[int]:
    return sorted({int(np.clip(round(k0 * factor), kmin, kmax)) for factor in factors})


def _geometric(kmin: int, kmax: int, number: int) -> list[int]:
    return sorted({round(k) for k in np.geomspace(kmin, kmax, number)})


def _size(size: float, count: int) -> int:
    return int(np.clip(round(size), 3, max(3, count // 4)))


def _k0(count: int, target: float, kmin: int, kmax: int) -> int:
    return int(np.clip(round(count / target), kmin, kmax))


def _fast(count: int, target: float, kmin: int, kmax: int) -> Iterator[Candidate]:
    k0 = _k0(count, target, kmin, kmax)
    for k in _clusters(k0, (0.5, 0.75, 1, 1.25, 1.5), kmin, kmax):
        yield Candidate.of("kmeans", n_clusters=k, n_init=1)
    for k in _clusters(k0, (0.75, 1, 1.5), kmin, kmax):
        yield Candidate.of("kmeans", n_clusters=k, n_init=3, reduce="umap-10")
    for k in _clusters(k0, (0.5, 0.75, 1), kmin, kmax):
        yield Candidate.of("gaussian_mixture", n_clusters=k, max_iter=20)
    for samples in (5, 15):
        for share in (1 / 8, 1 / 4, 1 / 2, 1):
            yield Candidate.of("hdbscan", min_cluster_size=_size(target * share, count), min_samples=samples)
    yield Candidate.of("hdbscan", min_cluster_size=_size(target / 4, count), min_samples=5, reduce="none")
    for quantile in (0.05, 0.15, 0.3):
        for samples in (5, 10):
            yield Candidate.of("dbscan", eps_quantile=quantile, min_samples=samples)


def _balanced(count: int, target: float, kmin: int, kmax: int) -> Iterator[Candidate]:
    ks = _geometric(kmin, kmax, 12)
    for k in ks:
        yield Candidate.of("kmeans", n_clusters=k, n_init=1)
    for k in ks[1::3]:
        yield Candidate.of("kmeans", n_clusters=k, n_init=3, reduce="umap-10")
    for k in ks:
        yield Candidate.of("gaussian_mixture", n_clusters=k, max_iter=20)
    yield from _density(count, target, (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1), (3, 5, 15))
    for quantile in (0.03, 0.08, 0.15, 0.3):
        for samples in (3, 5, 10, 20):
            yield Candidate.of("dbscan", eps_quantile=quantile, min_samples=samples)


def _comprehensive(count: int, target: float, kmin: int, kmax: int) -> Iterator[Candidate]:
    ks = _geometric(kmin, kmax, 30)
    for seed in range(3):
        for k in ks:
            yield Candidate.of("kmeans", n_clusters=k, n_init=1, random_state=seed)
    for k in ks[::3]:
        yield Candidate.of("kmeans", n_clusters=k, n_init=3, reduce="umap-10")
    for kind in ("diag", "tied"):
        for k in _geometric(kmin, kmax, 20):
            yield Candidate.of("gaussian_mixture", n_clusters=k, covariance_type=kind, max_iter=30)
    shares = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
    yield from _density(count, target, shares, (3, 5, 10, 20))
    for share in shares:
        yield Candidate.of("hdbscan", min_cluster_size=_size(target * share, count), min_samples=5, reduce="none")
        for epsilon in (0.1, 0.25):
            yield Candidate.of(
                "hdbscan",
                min_cluster_size=_size(target * share, count),
                min_samples=5,
                cluster_selection_epsilon=epsilon,
            )
    for quantile in (0.02, 0.05, 0.1, 0.15, 0.25, 0.4):
        for samples in (3, 5, 10, 20):
            yield Candidate.of("dbscan", eps_quantile=quantile, min_samples=samples)


def _density(count: int, target: float, shares: tuple[float, ...], samples: tuple[int, ...]) -> Iterator[Candidate]:
    for needed in samples:
        for method in ("eom", "leaf"):
            for share in shares:
                yield Candidate.of(
                    "hdbscan",
                    min_cluster_size=_size(target * share, count),
                    min_samples=needed,
                    cluster_selection_method=method,
                )
