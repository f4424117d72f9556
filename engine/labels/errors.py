"""Label errors: images whose label disagrees with a classifier that never saw it and with their neighbours.

Each label is judged by two votes: a linear discriminant classifier (shared covariance) fitted on the other four fifths
of the labelled images, and the labelled images nearest to it. An image is a suspect when confident learning (Northcutt,
Jiang and Chuang 2021) puts it into another class (its probability there reaches the mean probability that the class's
own images have) and more of its neighbours have that label than the one it has. Closed-form classifiers make the check
of 100,000 labels a matter of seconds. cleanlab would replace only the thresholds, ten of these lines.

Nothing is changed by the check: `open_errors` offers the suspects as proposals, accepting one is a label event, and
confirming an image takes it off the list for good, by an event too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.files import load_arrays, save_arrays
from engine.core.ids import Ids, pack, positions
from engine.core.progress import SILENT, Progress
from engine.core.vectors import Vectors, blocks, unit_rows
from engine.geometry.neighbors import NeighborGraph
from engine.labels.log import Event
from engine.labels.proposals import Proposals
from engine.labels.state import LOCKED, LabelState

ORIGIN = "label errors"
PARTS = 5
FEWEST = PARTS  # images of a label below which nothing can be said about it
VOTERS = 10  # nearest labelled images that vote
SHRINKAGE = 0.1  # of the covariance towards a multiple of the identity

Codes = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class LabelErrors:
    """Labels that are probably wrong, the most suspicious first.

    Attributes
    ----------
    contents : (m,) S16
        The images.
    labels, proposed : (m,) int32
        Index into `names`: the label that was judged, and the one that both votes prefer.
    classifier, neighbours : (m,) float32
        Probability of the proposed label by the classifier, and share of the voting neighbours that have it; in [0, 1].
    lead : (m,) float32
        Mean of both votes for the proposed label, less that for the label it has; in (-1, 1].
    names : tuple of str
    judged : int
        Labels that were judged.
    unjudged : int
        Labelled images whose label fewer than `FEWEST` images have.
    """

    contents: Ids
    labels: NDArray[np.int32]
    proposed: NDArray[np.int32]
    classifier: NDArray[np.float32]
    neighbours: NDArray[np.float32]
    lead: NDArray[np.float32]
    names: tuple[str, ...]
    judged: int
    unjudged: int

    def __len__(self) -> int:
        return len(self.contents)

    def take(self, at: NDArray[np.int64]) -> LabelErrors:
        """Return some of them, by number."""
        columns = ("contents", "labels", "proposed", "classifier", "neighbours", "lead")
        return replace(self, **{name: getattr(self, name)[at] for name in columns})

    def save(self, path: Path) -> None:
        """Write the file, atomically."""
        values = {**vars(self), "names": np.array(self.names, np.str_)}
        save_arrays(path, **{name: np.asarray(value) for name, value in values.items()})

    @classmethod
    def read(cls, path: Path) -> LabelErrors:
        """Read what `save` wrote."""
        found: dict[str, Any] = load_arrays(path, hint="Look for wrong labels again.")
        counts = {name: int(found[name]) for name in ("judged", "unjudged")}
        return cls(**{**found, **counts, "names": tuple(found["names"].tolist())})


@dataclass(frozen=True)
class Judgement:
    """What the two votes say of each label.

    Attributes
    ----------
    proposed : (n,) int32
        The label that both votes together prefer to the one it has, -1 where nothing is said.
    classifier, neighbours : (n,) float32
        Their votes for that label, in [0, 1].
    lead : (n,) float32
        Mean vote for it less that for the label it has, in [-1, 1]; -1 where nothing is said.
    suspect : (n,) bool
        Whether confident learning and the neighbours call the label wrong.
    """

    proposed: NDArray[np.int32]
    classifier: NDArray[np.float32]
    neighbours: NDArray[np.float32]
    lead: NDArray[np.float32]
    suspect: NDArray[np.bool_]


def judge_labels(
    vectors: NDArray[Any], graph: NeighborGraph, labels: Codes, *, random_state: int = 0, progress: Progress = SILENT
) -> Judgement:
    """Judge the labels of images by a cross-validated linear classifier and by their neighbours.

    Parameters
    ----------
    vectors : (n, d) float32
        Need not be unit length.
    graph : NeighborGraph
        Of the n images.
    labels : (n,) int
        -1 for none: such an image is not judged and does not vote.
    random_state : int
        Draws the five parts, each class its share.

    Returns
    -------
    Judgement
        Labels that fewer than `FEWEST` images have are neither judged nor proposed.

    Raises
    ------
    InputError
        Arrays of different lengths, or fewer than two labels with `FEWEST` images.
    """
    given = np.asarray(labels, np.int64)
    if not len(vectors) == len(graph) == len(given):
        raise InputError(f"{len(vectors):,} images need as many labels, not {len(given):,}.", "Check them again.")
    codes, kinds = _frequent(given)
    if len(kinds) < 2:
        there = "is one" if len(kinds) else "are none"
        raise InputError(
            f"A check needs two labels or more with {FEWEST} images each; there {there}.", "Label more images first."
        )
    rows = np.flatnonzero(codes >= 0)
    model = _Discriminant(unit_rows(vectors), codes, len(kinds), random_state)
    own = np.empty(len(rows), np.float64)
    for part in blocks(len(rows)):
        here = rows[part]
        own[part] = model.probabilities(here)[np.arange(len(here)), codes[here]]
        progress.update(part.stop, 2 * len(rows), phase="Check the labels", unit="images")
    usual = np.bincount(codes[rows], weights=own, minlength=len(kinds)) / np.bincount(codes[rows])
    n = len(given)
    found = Judgement(
        np.full(n, -1, np.int32),
        np.zeros(n, np.float32),
        np.zeros(n, np.float32),
        np.full(n, -1, np.float32),
        np.zeros(n, bool),
    )
    for part in blocks(len(rows)):
        here = rows[part]
        at, mine = np.arange(len(here)), codes[here]
        probability, votes = model.probabilities(here), neighbour_votes(graph, codes, here, len(kinds))
        silent = votes.sum(axis=1) == 0
        both = np.where(silent[:, None], probability, (probability + votes) / 2)
        rest = both.copy()
        rest[at, mine] = -1
        best = rest.argmax(axis=1)
        reached = np.where(probability >= usual, probability, -1.0)
        confident = (reached.argmax(axis=1) == best) & (reached[at, best] >= 0)
        nearer = silent | (votes[at, best] > votes[at, mine])
        found.proposed[here] = kinds[best]
        found.classifier[here], found.neighbours[here] = probability[at, best], votes[at, best]
        found.lead[here] = both[at, best] - both[at, mine]
        found.suspect[here] = confident & nearer
        progress.update(len(rows) + part.stop, 2 * len(rows), phase="Check the labels", unit="images")
    return found


def neighbour_votes(graph: NeighborGraph, codes: Codes, rows: NDArray[np.int64], kinds: int) -> NDArray[np.float64]:
    """Return (m, kinds) the share of each label among the nearest labelled images of some rows, at most `VOTERS`.

    All zero where no neighbour has a label.
    """
    near = codes[graph.indices[rows]]
    votes = (near >= 0) & (np.cumsum(near >= 0, axis=1) <= VOTERS)
    row, column = np.nonzero(votes)
    counts = np.bincount(row * kinds + near[row, column], minlength=len(rows) * kinds).reshape(len(rows), kinds)
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def _frequent(given: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return codes without gaps of the labels that at least `FEWEST` images have, -1 elsewhere, and which they are."""
    counts = np.bincount(given[given >= 0])
    kinds = np.flatnonzero(counts >= FEWEST)
    table = np.full(len(counts) + 1, -1, np.int64)  # the last entry is for no label
    table[kinds] = np.arange(len(kinds))
    return table[given], kinds


class _Discriminant:
    """Linear discriminant classifiers of five parts, each fitted on the other four.

    The probability of class k for a row x is the softmax of x S^-1 m_k - m_k S^-1 m_k / 2 + log p_k, with the means
    m_k and shares p_k of the classes and their pooled covariance S, shrunk by `SHRINKAGE` (Friedman 1989).
    """

    def __init__(self, unit: Vectors, codes: NDArray[np.int64], kinds: int, random_state: int) -> None:
        self.unit = unit
        self.part = np.full(len(codes), -1, np.int8)
        rng = np.random.default_rng(random_state)
        rows = rng.permutation(np.flatnonzero(codes >= 0))
        rows = rows[np.argsort(codes[rows], kind="stable")]
        self.part[rows] = np.arange(len(rows)) % PARTS  # each class is spread evenly over the parts
        sums = [self._sums(np.flatnonzero(self.part == number), codes, kinds) for number in range(PARTS)]
        whole = [np.sum([one[at] for one in sums], axis=0) for at in range(3)]
        self.models = [_weights(*(all_ - own for all_, own in zip(whole, one, strict=True))) for one in sums]

    def _sums(self, rows: NDArray[np.int64], codes: NDArray[np.int64], kinds: int) -> tuple[NDArray[np.float64], ...]:
        """Return the counts, sums and products of a part."""
        width = self.unit.shape[1]
        counts = np.bincount(codes[rows], minlength=kinds).astype(np.float64)
        sums, products = np.zeros((kinds, width)), np.zeros((width, width))
        for block in blocks(len(rows)):
            one = self.unit[rows[block]].astype(np.float64)
            np.add.at(sums, codes[rows[block]], one)
            products += one.T @ one
        return counts, sums, products

    def probabilities(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (m, kinds) the probabilities of some labelled rows by the classifier that did not see them."""
        found: NDArray[np.float64] | None = None
        for number, (weights, offsets) in enumerate(self.models):
            here = np.flatnonzero(self.part[rows] == number)
            if found is None:
                found = np.empty((len(rows), len(offsets)))
            value = self.unit[rows[here]] @ weights + offsets
            value = np.exp(value - value.max(axis=1, keepdims=True))
            found[here] = value / value.sum(axis=1, keepdims=True)
        assert found is not None
        return found


def _weights(
    counts: NDArray[np.float64], sums: NDArray[np.float64], products: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (d, kinds) weights and (kinds,) offsets of a linear discriminant from sums over its rows."""
    means = sums / np.maximum(counts, 1)[:, None]
    covariance = (products - (means * counts[:, None]).T @ means) / max(counts.sum(), 1)
    width = len(covariance)
    even = max(float(np.trace(covariance)) / width, 1e-12)  # rows that are all alike have no spread
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * even * np.eye(width)
    weights = np.linalg.solve(covariance, means.T)
    with np.errstate(divide="ignore"):
        offsets = np.log(counts / counts.sum()) - 0.5 * (means * weights.T).sum(axis=1)
    return weights, offsets


def find_errors(
    vectors: NDArray[Any], graph: NeighborGraph, state: LabelState, *, progress: Progress = SILENT
) -> LabelErrors:
    """Return the suspects among all labels of a state, whoever gave them, the most suspicious first.

    Raises
    ------
    InputError
        Fewer than two labels have `FEWEST` images, or the vectors or the graph are of other images.
    """
    found = judge_labels(vectors, graph, state.codes, progress=progress)
    rows = np.flatnonzero(found.suspect)
    rows = rows[np.argsort(-found.lead[rows], kind="stable")]
    judged = int(np.count_nonzero(found.proposed >= 0))
    return LabelErrors(
        state.contents[rows],
        state.codes[rows],
        found.proposed[rows],
        found.classifier[rows],
        found.neighbours[rows],
        found.lead[rows],
        state.label_names,
        judged,
        int(np.count_nonzero(state.codes >= 0)) - judged,
    )


def settled(events: Sequence[Event], contents: Ids, labels: Sequence[str | None]) -> NDArray[np.bool_]:
    """Return (n,) which images a person confirmed with the label that they have, or corrected on the list of suspects.

    Parameters
    ----------
    events : sequence of Event
        Those that hold, in order.
    contents : (n,) S16
    labels : n str or None
        Labels as they are now.
    """
    done = np.zeros(len(contents), bool)
    for event in events:
        if event.kind == "confirm" or (event.kind == "label" and event.detail.get("origin") == ORIGIN):
            rows = positions(contents, event.contents)
            said = [label for label, count in event.detail["labels"] for _ in range(count)]
            for row, label in zip(rows.tolist(), said, strict=True):
                if row >= 0:
                    done[row] = labels[row] == label
    return done


def open_errors(state: LabelState, found: LabelErrors, events: Sequence[Event]) -> Proposals:
    """Return the suspects that still have the label that was judged, are not locked, and are not settled since.

    `probability` is the mean of both votes for the proposed label: a score, checked on nothing.
    """
    place = positions(state.contents, found.contents)
    names = np.array([*found.names, ""], np.object_)
    known = np.flatnonzero(place >= 0)
    rows = place[known]
    labels = state.labels
    same = np.array([labels[row] == names[found.labels[at]] for row, at in zip(rows, known, strict=True)], bool)
    checked = settled(events, pack(state.contents[rows].tobytes()), [labels[row] for row in rows.tolist()])
    kept = same & ~checked & (state.status[rows] != LOCKED)
    rows, at = rows[kept].astype(np.int64), known[kept]
    return Proposals(
        rows,
        [str(name) for name in names[found.proposed[at]]],
        ((found.classifier[at] + found.neighbours[at]) / 2).astype(np.float32),
        found.lead[at],
        ORIGIN,
        state.version,
        state.version,
    )
