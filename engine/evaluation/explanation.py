"""Why is this a cluster: how far measures that have nothing to do with the content explain a clustering.

Flows in: cluster numbers, and measures of the same images (sizes, brightness, cameras, folders) as numbers or words.
Flows out: for the whole clustering and for each cluster the adjusted mutual information with each measure, beside the
floor that shuffled clusters reach. Tables of shuffled clusters are drawn from their margins, so that a million images
take about as long as a thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.labels import compact
from engine.core.progress import SILENT, Progress
from engine.evaluation.agreement import contingency

Integers = NDArray[np.integer[Any]]
BINS = 10  # groups of equally many images that a number is cut into
MOST_IMAGES = 100_000  # that are compared
MOST_WORDS = 32  # groups that words may make; rarer ones count as one
SHUFFLES = 199  # a figure above all of them has a chance of 1 in 200, over all tests of the family
FOLDER = "folder"  # the measure whose groups are the image's folders
_TINY = 1e-12
NOTABLE = 0.2  # adjusted mutual information from which a measure is worth a word


@dataclass(frozen=True)
class Reason:
    """How far one measure explains a clustering or a cluster.

    Attributes
    ----------
    measure : str
    value : float
        Adjusted mutual information: 1 where the measure tells it all, 0 as by chance. Of a clustering normalised by the
        mean of both entropies, of a cluster by the entropy of being in it, so that a cluster that takes one of ten
        groups whole is explained by 1.
    floor : float
        What `value` has to exceed: the largest value on shuffled clusters, as far as the other tests of the family
        went beyond their means.
    """

    measure: str
    value: float
    floor: float

    @property
    def above_chance(self) -> bool:
        """Whether no test of the family reached as much on any shuffled clustering."""
        return self.value > self.floor

    @property
    def notable(self) -> bool:
        """Whether it is worth a word: above chance, and not merely measurable in many images."""
        return self.above_chance and self.value >= NOTABLE

    @property
    def words(self) -> str:
        """The badge, such as "explained by aspect ratio (.81)"; folders are often what is looked for."""
        figure = f"{self.value:.2f}"
        verb = "follows" if self.measure == FOLDER else "explained by"
        return f"{verb} {self.measure} ({figure.removeprefix('0')})"


@dataclass(frozen=True)
class Explanation:
    """The reasons of a clustering and of each of its clusters, the strongest first.

    Attributes
    ----------
    images : int
    run : tuple of Reason
    clusters : dict of int to tuple of Reason
    """

    images: int
    run: tuple[Reason, ...]
    clusters: dict[int, tuple[Reason, ...]]

    def badge(self, cluster: int) -> str:
        """Return the strongest notable reason of a cluster as words; empty where there is none."""
        return next((reason.words for reason in self.clusters.get(cluster, ()) if reason.notable), "")

    @property
    def notable(self) -> tuple[Reason, ...]:
        """The reasons of the whole clustering that are worth a word."""
        return tuple(reason for reason in self.run if reason.notable)

    @property
    def sentence(self) -> str:
        """What to know about the clustering in a sentence."""
        marked = sum(bool(self.badge(cluster)) for cluster in self.clusters)
        single = f"{marked:,} of {len(self.clusters):,} clusters {'is' if marked == 1 else 'are'} explained by one."
        if self.notable:
            told = ", ".join(f"{reason.measure} ({reason.value:.2f})".replace("(0.", "(.") for reason in self.notable)
            folders = " Where the folders are your classes, that is right: say so on Images."
            hint = folders if any(reason.measure == FOLDER for reason in self.notable) else ""
            return f"The clustering follows {told}. {single}{hint}"
        if marked:
            return f"No measure explains the whole clustering, but {single}"
        return "No measure of the files explains the clustering or one of its clusters."

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Return what `as_dict` gave."""

        def reasons(rows: Sequence[Mapping[str, Any]]) -> tuple[Reason, ...]:
            return tuple(Reason(str(one["measure"]), float(one["value"]), float(one["floor"])) for one in rows)

        clusters = {int(one["cluster"]): reasons(one["reasons"]) for one in found["clusters"]}
        return cls(int(found["images"]), reasons(found["run"]), clusters)

    def as_dict(self) -> dict[str, Any]:
        """Return it for a file: every reason with its value, its floor and whether it is notable."""

        def rows(reasons: tuple[Reason, ...]) -> list[dict[str, Any]]:
            return [
                {"measure": one.measure, "value": one.value, "floor": one.floor, "notable": one.notable}
                for one in reasons
            ]

        clusters = [{"cluster": cluster, "reasons": rows(reasons)} for cluster, reasons in self.clusters.items()]
        return {"images": self.images, "sentence": self.sentence, "run": rows(self.run), "clusters": clusters}


def binned(values: NDArray[Any], bins: int = BINS) -> NDArray[np.int64]:
    """Return the group of each number, from 0 without gaps: deciles by mean rank; unknown ones (NaN) are the last.

    Equal numbers have one rank, the mean of their places, and are in one group: what most images share is one group,
    and what lies below or above it stays apart.
    """
    from scipy.stats import rankdata

    array = np.asarray(values, np.float64)
    known = np.isfinite(array)
    codes = np.full(len(array), bins, np.int64)
    if known.any():
        codes[known] = (bins * (rankdata(array[known]) - 0.5) / known.sum()).astype(np.int64)
    groups: NDArray[np.int64] = np.unique(codes, return_inverse=True)[1].reshape(-1)
    return groups


def grouped(words: NDArray[np.object_], most: int = MOST_WORDS) -> NDArray[np.int64]:
    """Return the group of each word: the `most` - 1 most frequent ones, and one of all others where there are more."""
    found, codes, counts = np.unique(words.astype(str), return_inverse=True, return_counts=True)
    if len(found) <= most:
        return codes.reshape(-1)
    rank = np.empty(len(found), np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(found))
    return np.minimum(rank, most - 1)[codes.reshape(-1)]


def explain(
    clusters: Integers,
    numbers: Mapping[str, NDArray[np.float64]],
    words: Mapping[str, NDArray[np.object_]],
    *,
    random_state: int = 0,
    progress: Progress = SILENT,
) -> Explanation:
    """Return how far each measure explains a clustering.

    Parameters
    ----------
    clusters : (n,) int
        Noise (-1) is a cluster of its own for the whole, and is not listed among the clusters.
    numbers : mapping of str to (n,) float64
        NaN where unknown.
    words : mapping of str to (n,) object

    Raises
    ------
    InputError
        A measure is of other images.

    Notes
    -----
    Numbers are cut into deciles. Of more than 100,000 images so many are drawn. For adjusted mutual information see
    Vinh, Epps and Bailey, JMLR 2010; the expected information is the mean over shuffles.

    The correction for many tests is that of the largest statistic over the family (Westfall and Young,
    "Resampling-Based Multiple Testing", 1993): each mutual information gets the p-value of the G test (2 n times it is
    nearly chi-squared), and counts as above chance where that is smaller than all of the family in each of 199
    shuffles. A family is the measures for the whole, and clusters times measures. So the approximation decides how
    tests are weighed, and the shuffles how often there is an alarm. Shuffled tables are drawn for each measure by
    itself, which makes the bound somewhat stricter where measures hang together.
    """
    rng = np.random.default_rng(random_state)
    given = np.asarray(clusters)
    for name, values in (*numbers.items(), *words.items()):
        if len(values) != len(given):
            raise InputError(f"{name!r} is known of {len(values):,} images, the clusters of {len(given):,}.")
    chosen = slice(None) if len(given) <= MOST_IMAGES else np.sort(rng.choice(len(given), MOST_IMAGES, replace=False))
    given = given[chosen]
    groups = {name: binned(values[chosen]) for name, values in numbers.items()}
    groups |= {name: grouped(values[chosen]) for name, values in words.items()}
    groups = {name: codes for name, codes in groups.items() if len(codes) and codes.max() > 0}
    listed = np.unique(given[given >= 0])
    codes = compact(given)
    codes = codes + np.int32(codes.min(initial=0) < 0)  # noise comes first
    size = np.bincount(codes)
    if not groups or len(size) < 2:
        return Explanation(len(codes), (), {int(cluster): () for cluster in listed})
    whole, each, null_whole, null_each, means, freedom = [], [], [], [], [], []
    for done, group in enumerate(groups.values()):
        table = contingency(codes, group)
        seen, parts = _information(table[None])
        drawn, drawn_parts = _information(_shuffled_tables(table, rng))
        whole.append(float(seen[0]))
        each.append(parts[0])
        null_whole.append(drawn)
        null_each.append(drawn_parts)
        means.append((_entropy(size / len(codes)) + _entropy(table.sum(axis=0) / len(codes))) / 2)
        freedom.append(table.shape[1] - 1)
        progress.update(done + 1, len(groups), phase="Comparing with measures", unit="measures")
    names, own = list(groups), slice(len(size) - len(listed), None)
    drawn, ceilings = np.stack(null_whole, axis=1), np.array(means)
    adjusted = (np.array(whole) - drawn.mean(axis=0)) / np.maximum(ceilings - drawn.mean(axis=0), _TINY)
    members = size[own] / len(codes)
    inside = np.array([_entropy(np.array([share, 1 - share])) for share in members])[:, None]
    null = np.stack(null_each, axis=2)[:, own]
    expected = null.mean(axis=0)
    values = (np.stack(each, axis=1)[own] - expected) / np.maximum(inside - expected, _TINY)
    each_freedom = np.tile(np.array(freedom, float), len(listed))
    limits = _floors(null.reshape(len(null), -1), each_freedom, len(codes), np.repeat(inside, len(names)))
    limits = limits.reshape(values.shape)
    return Explanation(
        len(codes),
        _strongest(names, adjusted, _floors(drawn, np.array(freedom) * (len(size) - 1.0), len(codes), ceilings)),
        {int(cluster): _strongest(names, values[at], limits[at]) for at, cluster in enumerate(listed)},
    )


def _strongest(names: Sequence[str], values: Iterable[float], floors: Iterable[float]) -> tuple[Reason, ...]:
    """Return the reasons, those above chance first, then by value."""
    found = [Reason(name, float(one), float(floor)) for name, one, floor in zip(names, values, floors, strict=True)]
    return tuple(sorted(found, key=lambda reason: (not reason.above_chance, -reason.value)))


def _shuffled_tables(table: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return (199, K, B) tables of shuffled clusters: drawn with the same numbers of images in each row and column."""
    from scipy.stats import random_table

    drawn = random_table(table.sum(axis=1), table.sum(axis=0)).rvs(SHUFFLES, random_state=rng)
    tables: NDArray[np.int64] = drawn.astype(np.int64)
    return tables


def _information(tables: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mutual information of (S, K, B) tables in nats: of the whole (S,), and of being in each row (S, K)."""
    total = int(tables[0].sum())
    rows, columns = tables[0].sum(axis=1)[:, None] / total, tables[0].sum(axis=0) / total
    inside = _terms(tables / total, rows * columns).sum(axis=2)
    outside = _terms(columns - tables / total, (1 - rows) * columns).sum(axis=2)
    return inside.sum(axis=1), inside + outside


def _terms(joint: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p log(p / q), 0 where p is 0."""
    some = joint > _TINY
    return np.where(some, joint * np.log(np.where(some, joint, 1.0) / np.maximum(chance, _TINY)), 0.0)


def _floors(
    null: NDArray[np.float64], freedom: NDArray[np.float64], images: int, ceilings: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the adjusted value (T,) that each of T tests has to exceed.

    Parameters
    ----------
    null : (S, T) float64
        Mutual information of shuffled clusters, in nats.
    freedom : (T,) float64
        Degrees of freedom of each test.
    images : int
    ceilings : (T,) float64
        What the adjusted value is normalised by.
    """
    from scipy.stats import chi2

    smallest = float(np.min(chi2.sf(2 * images * null, freedom)))
    mean = null.mean(axis=0)
    floors: NDArray[np.float64] = np.asarray(chi2.isf(smallest, freedom)) / (2 * images)
    return (floors - mean) / np.maximum(ceilings - mean, _TINY)


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())
