"""How many clusters? The evidence of coding length, silhouette, stability and of a sweep, and a verdict.

Every curve stands beside the same curve of structureless data (a Gaussian with the same covariance), because all
of them have a best K even where there are no clusters. Only what stands out from that reference counts as evidence,
and where the evidence disagrees or is absent the answer is "no clear K".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import Vectors, check_embeddings
from engine.selection.count.curves import Curve, Curves, KProgress, k_grid, standardised

NO_CLEAR_K = "no clear K"
Kind = Literal["coding length", "silhouette", "stability", "CPP coding length", "sweep"]


class ClusterCountSettings(Settings):
    """Settings of the "how many clusters?" panel."""

    smallest: int = setting(2, "Smallest number of clusters to try.", ge=2, le=1000)
    largest: int = setting(30, "Largest number of clusters to try.", ge=3, le=1000)
    components: int = setting(32, "Principal components that the curves are computed on.", ge=2, le=256, advanced=True)
    repeats: int = setting(4, "Pairs of random subsamples for the stability.", ge=2, le=50, advanced=True)
    sample: int = setting(5000, "Larger sets are sampled to so many images.", ge=200, le=100_000, advanced=True)
    random_state: int = setting(0, "Seed of everything random.", ge=0, le=2**31 - 1, advanced=True)


@dataclass(frozen=True)
class Evidence:
    """One curve over K and what it says.

    Attributes
    ----------
    kind : str
    ks : (m,) int64
    values : (m,) float64
        Higher is better, but for coding lengths (nats per image), where lower is.
    reference : (m,) float64 or None
        The same for structureless data.
    spread : (m,) float64
        Standard deviation over repeats; zero where there are none.
    best : int
        The K that this curve alone would choose.
    clear : bool
        Whether it stands out from the reference and from its neighbours.
    sentence : str
        The finding in words.
    """

    kind: Kind
    ks: NDArray[np.int64]
    values: Curve
    reference: Curve | None
    spread: Curve
    best: int
    clear: bool
    sentence: str


@dataclass(frozen=True)
class Split:
    """What one more cluster separates: the cluster that is divided, and images typical of both halves.

    `left` and `right` are row numbers of the given embeddings, nearest to the halves' centres first.
    """

    before: int
    after: int
    size: int
    left: NDArray[np.int64]
    right: NDArray[np.int64]


@dataclass(frozen=True)
class ClusterCount:
    """The verdict, its evidence, and what further splits separate.

    Attributes
    ----------
    n_clusters : int or None
        The answer, or None when there is no clear one.
    verdict : str
        The answer in words; contains "no clear K" when `n_clusters` is None.
    evidence : tuple of Evidence
    splits : tuple of Split
        In rising K.
    rows : int
        Images that were looked at.
    notes : tuple of str
    """

    n_clusters: int | None
    verdict: str
    evidence: tuple[Evidence, ...]
    splits: tuple[Split, ...]
    rows: int
    notes: tuple[str, ...] = field(default=())


def cluster_count(
    embeddings: Vectors,
    settings: ClusterCountSettings | None = None,
    *,
    cpp_curve: tuple[NDArray[np.int64], Curve] | None = None,
    cpp_start: int | None = None,
    sweep: Sequence[Mapping[str, float]] | None = None,
    progress: Progress = SILENT,
) -> ClusterCount:
    """Weigh the evidence for the number of clusters in `embeddings`.

    Parameters
    ----------
    embeddings : (n, d) float32
        Need not be unit length.
    settings : ClusterCountSettings, optional
    cpp_curve : (ks, lengths), optional
        The coding-length curve of a fitted CPP (`CPP.coding_curve`).
    cpp_start : int, optional
        The number of clusters that this CPP's training started from. Its curve leans towards that number, so it is
        shown and does not count.
    sweep : sequence of mapping, optional
        A sweep's summary: one entry with "n_clusters" and "score" (higher is better) for each configuration.
    progress : Progress

    Raises
    ------
    InputError
        Fewer than 20 images, NaN, an empty range of K.
    """
    settings = settings or ClusterCountSettings()
    array = check_embeddings(embeddings)
    if len(array) < 20:
        raise InputError(f"{len(array)} images are too few to ask how many clusters there are.", "Use at least 20.")
    rng = np.random.default_rng(settings.random_state)
    notes = []
    rows = np.arange(len(array))
    if len(array) > settings.sample:
        rows = np.sort(rng.choice(len(array), settings.sample, replace=False))
        notes.append(f"Based on {settings.sample:,} random images of {len(array):,}.")
    ks = k_grid(settings.smallest, settings.largest, len(rows))
    points = standardised(array[rows], settings.components)
    noise = rng.normal(size=points.shape).astype(np.float32) * points.std(axis=0)
    counter = KProgress(len(ks) * 2, progress)
    real = Curves.measure(points, ks, settings.repeats, settings.random_state, counter)
    null = Curves.measure(noise, ks, settings.repeats, settings.random_state, counter)
    evidence = [_coding_evidence(real, null), _silhouette_evidence(real, null), _stability_evidence(real, null)]
    if cpp_curve is not None:
        given = _given_curve("CPP coding length", np.asarray(cpp_curve[0]), -np.asarray(cpp_curve[1]))
        if cpp_start is not None:
            leans = f"Training started from {cpp_start} clusters and leans towards them, so this curve does not count."
            given = replace(given, clear=False, sentence=f"{given.sentence} {leans}")
        evidence.append(given)
    if sweep:
        evidence.append(_sweep_evidence(sweep))
    n_clusters, verdict = _verdict(evidence)
    return ClusterCount(
        n_clusters, verdict, tuple(evidence), tuple(_splits(points, real, rows)), len(rows), tuple(notes)
    )


def _coding_evidence(real: Curves, null: Curves) -> Evidence:
    position = int(np.argmin(real.lengths))
    value, best = real.lengths[position], int(real.ks[position])
    near = [real.lengths[i] for i in (position - 1, position + 1) if 0 <= i < len(real.ks)]
    noise = max(float(np.median(real.length_spread)), 1e-3 * abs(float(value)))
    inside = len(near) == 2
    clear = inside and value < real.single - noise and min(near) - value > noise
    if value >= real.single - noise:
        sentence = "One cluster codes the images as briefly as any number does."
    elif not inside:
        sentence = f"Still falling at the edge of the range, K = {best}."
    elif clear:
        sentence = f"Shortest at K = {best}."
    else:
        sentence = f"Flat around its minimum at K = {best}."
    return Evidence(
        "coding length", real.ks, real.lengths, null.lengths, real.length_spread, best, bool(clear), sentence
    )


def _silhouette_evidence(real: Curves, null: Curves) -> Evidence:
    excess = real.silhouettes - null.silhouettes
    position = int(np.argmax(excess))
    best, gain = int(real.ks[position]), float(excess[position])
    edge = position == len(excess) - 1
    clear = gain > 0.05 and not edge and gain > 1.02 * float(excess[-1])
    sentence = f"Highest above structureless data at K = {best} ({real.silhouettes[position]:.2f}, +{gain:.2f})."
    if not clear:
        sentence = (
            f"Still rising at the edge of the range, K = {best}."
            if edge and gain > 0.05
            else "No higher than structureless data gives."
        )
    return Evidence(
        "silhouette", real.ks, real.silhouettes, null.silhouettes, np.zeros(len(excess)), best, clear, sentence
    )


def _stability_evidence(real: Curves, null: Curves) -> Evidence:
    values = real.stability
    top = float(values.max())
    position = int(np.flatnonzero(values >= top - 0.01)[-1])
    best = int(real.ks[position])
    gain = float(values[position] - null.stability[position])
    clear = top >= 0.75 and gain > 0.2
    sentence = (
        f"The same clusters are found again from other images at K = {best} (ARI {values[position]:.2f})."
        if clear
        else f"No number of clusters is found again reliably (ARI at best {top:.2f})."
    )
    return Evidence("stability", real.ks, values, null.stability, real.stability_spread, best, clear, sentence)


def _given_curve(kind: Kind, ks: NDArray[np.int64], scores: Curve) -> Evidence:
    """Return the evidence of a given curve: its best K is clear when it is inside and above both neighbours."""
    order = np.argsort(ks, kind="stable")
    ks, scores = ks[order].astype(np.int64), scores[order].astype(np.float64)
    position = int(np.argmax(scores))
    near = [scores[i] for i in (position - 1, position + 1) if 0 <= i < len(ks)]
    steps = np.abs(np.diff(scores))
    clear = len(near) == 2 and scores[position] - max(near) > 0.1 * float(np.median(steps))
    best = int(ks[position])
    sentence = f"Best at K = {best}." if clear else f"Flat around K = {best}, or still improving at the range's edge."
    shown = -scores if kind == "CPP coding length" else scores
    return Evidence(kind, ks, shown, None, np.zeros(len(ks)), best, bool(clear), sentence)


def _sweep_evidence(sweep: Sequence[Mapping[str, float]]) -> Evidence:
    """Return the best score of each K over the sweep's configurations."""
    best: dict[int, float] = {}
    for entry in sweep:
        k, score = int(entry["n_clusters"]), float(entry["score"])
        if np.isfinite(score):
            best[k] = max(best.get(k, -np.inf), score)
    if not best:
        raise InputError("The sweep holds no finished configuration.", "Run it first, or leave it out.")
    ks = np.asarray(sorted(best), dtype=np.int64)
    return _given_curve("sweep", ks, np.asarray([best[k] for k in ks.tolist()]))


def _verdict(evidence: Sequence[Evidence]) -> tuple[int | None, str]:
    """Return the K that at least two clear curves agree on (within one, or a tenth), else "no clear K"."""
    clear = [item for item in evidence if item.clear]
    agreeing: list[Evidence] = []
    for item in clear:
        near = [other for other in clear if abs(other.best - item.best) <= max(1, round(0.1 * item.best))]
        if len(near) > len(agreeing):
            agreeing = near
    if len(agreeing) >= 2 and 2 * len(agreeing) > len(clear):
        k = int(np.median([item.best for item in agreeing]))
        return k, f"About {k} clusters: {' and '.join(item.kind for item in agreeing)} agree."
    if not clear:
        return None, f"{NO_CLEAR_K}: no curve stands out from structureless data."
    said = ", ".join(f"{item.kind} says {item.best}" for item in clear)
    return None, f"{NO_CLEAR_K}: {said}, and nothing else agrees."


def _splits(points: Vectors, curves: Curves, rows: NDArray[np.int64], *, shown: int = 6) -> list[Split]:
    """Return, for each step to the next K, the cluster that is divided most evenly and images typical of its halves."""
    splits = []
    for step in range(len(curves.ks) - 1):
        before, after = curves.labels[step], curves.labels[step + 1]
        table = np.zeros((int(before.max()) + 1, int(after.max()) + 1), dtype=np.int64)
        np.add.at(table, (before, after), 1)
        order = np.argsort(-table, axis=1, kind="stable")
        cluster = int(np.argmax(np.take_along_axis(table, order[:, 1:2], axis=1)))
        halves = [
            _typical(points, np.flatnonzero((before == cluster) & (after == part)), shown)
            for part in order[cluster, :2].tolist()
        ]
        size = int((before == cluster).sum())
        splits.append(Split(int(curves.ks[step]), int(curves.ks[step + 1]), size, rows[halves[0]], rows[halves[1]]))
    return splits


def _typical(points: Vectors, members: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if len(members) == 0:
        return members
    distance = np.square(points[members] - points[members].mean(axis=0)).sum(axis=1)
    return members[np.argsort(distance, kind="stable")[:count]]
