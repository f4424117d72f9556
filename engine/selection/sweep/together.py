"""The last candidate of a sweep, all of them together; how far the methods agree on the winner, and why it won.

Flows in: the ranked rows with their labels on disk. Flows out: one row more, and two sentences for the person.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.registry import method_title
from engine.core.errors import StorageError
from engine.core.files import read_json, save_array, write_json
from engine.evaluation.agreement import match
from engine.evaluation.consensus import NAME, combine, vote_weights
from engine.evaluation.stability import common_ari
from engine.geometry.neighbors import NeighborGraph
from engine.selection.sweep.data import ALL, HALVES, SweepData, half_labels, open_part, part_rows
from engine.selection.sweep.grid import Candidate
from engine.selection.sweep.ranking import LeaderboardRow, leaderboard_row, rivals_of, way_of
from engine.selection.sweep.report import confidence_path
from engine.selection.sweep.settings import SweepSettings
from engine.selection.sweep.worker import score

MEMBERS = 12
LEAST = 3  # members, by two ways at least, without which there is nothing to combine
FACTOR = 1.5  # by which a member's number of clusters may differ from the first rank's


def all_together(
    data: SweepData, ranked: Sequence[LeaderboardRow], settings: SweepSettings, pairs: NDArray[np.int64]
) -> LeaderboardRow | None:
    """Combine the ranked candidates of about as many clusters as the first, and score the result like a candidate.

    Parameters
    ----------
    ranked : sequence of LeaderboardRow
        In order of rank. At most `MEMBERS` take part, weighted by how well a classifier learns them.

    Returns
    -------
    LeaderboardRow or None
        In state "ranked", "no structure" or, where one candidate has just these clusters, "repeated". Its stability is
        that of the same vote on the subsamples. None where fewer than three candidates, or only one way to cluster,
        found about as many clusters.
    """
    members = _members(ranked)
    if not members:
        return None
    texts = [str((row.algorithm, row.parameters)) for row in members]
    key = hashlib.blake2b(repr((data.key, settings.shuffles, texts)).encode(), digest_size=16).hexdigest()
    path = data.folder / "candidates" / f"{NAME}-{key}.npy"
    try:
        kept = read_json(path.with_suffix(".json"))
    except StorageError:
        kept = _combined(data, members, settings, path)
    row = leaderboard_row(kept, path, settings, pairs)
    row = replace(row, stability=kept["stability"], agreement=_mean([member.agreement for member in members]))
    labels = np.load(path, allow_pickle=False)
    for member in members:
        if np.array_equal(labels, _labels(member)):
            return replace(row, state="repeated", reason=f"The same clusters as {member.title}.")
    return row


def _members(ranked: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    if not ranked:
        return []
    near = [
        row
        for row in ranked
        if row.labels is not None and abs(np.log(row.n_clusters / ranked[0].n_clusters)) <= np.log(FACTOR)
    ][:MEMBERS]
    return near if len(near) >= LEAST and len({way_of(row) for row in near}) > 1 else []


def _combined(data: SweepData, members: list[LeaderboardRow], settings: SweepSettings, path: Any) -> dict[str, Any]:  # noqa: ANN401 - a path
    """Vote, score and write labels, confidence and scores."""
    began = time.perf_counter()
    data.prepare(ALL)
    embeddings, graph = open_part(data.folder, ALL)
    weights = vote_weights([row.generalisation for row in members])
    wanted = members[0].n_clusters
    found = combine([_labels(row) for row in members], weights=weights, n_clusters=wanted, graph=graph)
    seconds = time.perf_counter() - began
    ways = sorted({method_title(row.algorithm) for row in members})
    result = score(embeddings, found.labels, neighbors=graph.indices, shuffles=settings.shuffles) | {
        "algorithm": NAME,
        "parameters": {"n_clusters": wanted, "members": len(members)},
        "seconds": seconds,
        "stability": _stability(data, members, wanted),
        "notes": [f"A vote of {len(members)} ranked candidates by {', '.join(ways)}."],
    }
    save_array(confidence_path(path), found.confidence)
    save_array(path, found.labels)
    write_json(path.with_suffix(".json"), result)
    return result


def _stability(data: SweepData, members: list[LeaderboardRow], wanted: int) -> float | None:
    """Return how alike the votes on the two subsamples are; None where fewer than three members were tried on them."""
    keys = [data.stability_key(Candidate.of(row.algorithm, **row.parameters)) for row in members]
    there = [
        (row, key)
        for row, key in zip(members, keys, strict=True)
        if all(half_labels(data.folder, key, half).exists() for half in HALVES)
    ]
    if len(there) < LEAST or not all((data.folder / half).exists() for half in HALVES):
        return None
    weights = vote_weights([row.generalisation for row, _ in there])
    votes = []
    for half in HALVES:
        labels = [np.load(half_labels(data.folder, key, half), allow_pickle=False) for _, key in there]
        graph: NeighborGraph = open_part(data.folder, half)[1]
        counts = {int(column.max(initial=-1)) + 1 for column in labels}
        asked = wanted if wanted in counts else None
        votes.append(combine(labels, weights=weights, n_clusters=asked, graph=graph).labels)
    return common_ari([part_rows(data.folder, half) for half in HALVES], votes)


def _labels(row: LeaderboardRow) -> NDArray[np.int32]:
    assert row.labels is not None
    labels: NDArray[np.int32] = np.load(row.labels, allow_pickle=False)
    return labels


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


# ------------------------------------------------------------------------------------- why, and how sure


@dataclass(frozen=True)
class Concord:
    """How far the methods agree on the first rank.

    Attributes
    ----------
    methods : int
        At least so many put an image into the same group; three, or two where there are only two.
    of : int
        Methods that found about as many clusters.
    share : float
        Share of the images on which they do, in [0, 1].
    """

    methods: int
    of: int
    share: float

    def as_dict(self) -> dict[str, float]:
        """Return plain values, for a file."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """The figure in words."""
        if self.of == self.methods:
            who = "Two methods" if self.of == 2 else "Three methods"
            return f"{who} agree on {self.share:.0%} of the images."
        return f"At least three of {self.of} methods agree on {self.share:.0%} of the images."


def concord(ranked: Sequence[LeaderboardRow]) -> Concord | None:
    """Return how far the methods agree on the first rank; None where no other found about as many clusters.

    Each method speaks by its candidate whose number of clusters is nearest to the first rank's, its clusters matched
    one to one to those. The vote of all together is no method of its own.
    """
    if not ranked or ranked[0].labels is None:
        return None
    first, own = ranked[0], _labels(ranked[0])
    voices: dict[str, LeaderboardRow] = {}
    for rival in rivals_of(first, ranked):
        voices.setdefault(rival.algorithm, rival)
    voices.pop(first.algorithm, None)
    alike = np.full(len(own), int(first.algorithm != NAME))
    for rival in voices.values():
        labels = _labels(rival)
        name = np.full(int(labels.max(initial=-1)) + 2, -2, np.int32)
        for cluster, group in match(own, labels).items():
            name[cluster] = group
        alike += name[labels] == own
    of = len(voices) + int(first.algorithm != NAME)
    if of < 2:
        return None
    methods = min(3, of)
    return Concord(methods, of, float(np.mean((alike >= methods) & (own >= 0))))


def reasons(first: LeaderboardRow, agreeing: Concord | None) -> tuple[str, str]:
    """Return two sentences: why the first rank won, and how sure that is."""
    if first.stability is None:
        why = "It is the most promising; whether its groups come back on other parts of the images was not tried."
    else:
        learned = (
            "" if first.generalisation is None else f" and a classifier can learn them ({first.generalisation:.2f})"
        )
        why = f"It won because its groups come back on other parts of the images ({first.stability:.2f} of 1){learned}."
    sure = agreeing.sentence if agreeing else "No other method found about as many groups, so none confirms it."
    return why, sure
