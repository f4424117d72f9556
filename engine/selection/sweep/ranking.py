"""The order of a sweep's candidates, gated by structure: by the evidence for them, or by composite.

Flows in: scored candidates. Flows out: leaderboard rows that a page can show and a file can hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.agreement import ari_between, sizes
from engine.evaluation.consensus import NAME
from engine.evaluation.scores import CompositeSettings, composite, pair_share
from engine.evaluation.verdict import Verdict, verdict, with_two_kinds
from engine.selection.sweep.settings import Ranking

CLEAR_FACTOR, CLEAR_SHARE = 1.6, 0.9
ENTROPY_POWER = 0.4
"""How much it counts that clusters say more; chosen by benchmarks/verdict_quality.py, see docs/figures.md."""
State = Literal["ranked", "no structure", "failed", "repeated", "halved", "left out"]


@dataclass(frozen=True)
class LeaderboardRow:
    """One candidate as the leaderboard shows it.

    Attributes
    ----------
    rank : int
        1 is the best; 0 where the candidate is not ranked.
    state : "ranked" | "no structure" | "failed" | "repeated" | "halved" | "left out"
        "no structure": its silhouette is not above that of its own labels shuffled. "repeated": the same
        clusters as a candidate that is ranked. "halved": not among the best quarter on the sample. "left out":
        there is no time to train it.
    reason : str
        Why it failed or is not ranked; else empty.
    composite, silhouette, balance, noise_share, largest_share : float
    floor : float or None
        What shuffled labels reach.
    generalisation : float or None
        How well a linear classifier learns it, see `engine.evaluation.generalisation`: 0 is chance, 1 perfect. None on
        older boards.
    neighbors : float or None
        How far images and their ten nearest are in one cluster: 0 as by chance, 1 always. None on older boards.
    stability : float or None
        ARI between clusterings of two overlapping 80% subsamples; computed for the first ranks.
    entropy : float
        Of the shares of all images that the clusters hold, in nats: log K for K even clusters without noise.
    evidence : float or None
        stability x `promise`: how surely the groups come back, can be told apart and keep neighbours together, for how
        much they say. Known where the stability is.
    agreement : float or None
        Mean ARI with what other methods found at about as many clusters, see `agreement_of`; for the first ranks.
    two_kinds : tuple of int
        Clusters that look like two kinds in one; looked for in the first ranks.
    pairs_together : float or None
        Share of the person's validation pairs that are in one cluster.
    sizes : tuple of int
        The largest clusters' sizes, falling.
    target : tuple of dict
        For each target image: row, cluster, size, nearest rows of the same cluster; `image` and
        `nearest_images` name them where names are known.
    labels : Path or None
        The .npy with this candidate's labels.
    folder : str
        rank_01_kmeans and so on; empty below the kept ranks.
    """

    algorithm: str
    parameters: dict[str, Any]
    state: State = "failed"
    reason: str = ""
    rank: int = 0
    composite: float = float("nan")
    silhouette: float = float("nan")
    balance: float = 0.0
    noise_share: float = 0.0
    n_clusters: int = 0
    largest_share: float = 0.0
    seconds: float = 0.0
    floor: float | None = None
    generalisation: float | None = None
    neighbors: float | None = None
    stability: float | None = None
    entropy: float = 0.0
    evidence: float | None = None
    agreement: float | None = None
    two_kinds: tuple[int, ...] = ()
    pairs_together: float | None = None
    sizes: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    target: tuple[dict[str, Any], ...] = ()
    labels: Path | None = None
    folder: str = ""

    @property
    def title(self) -> str:
        """Method and telling settings in one line."""
        hidden = {"random_state", "n_init", "max_iter"}
        shown = ", ".join(f"{name} {value}" for name, value in self.parameters.items() if name not in hidden)
        return f"{self.algorithm} ({shown})"

    @property
    def promise(self) -> float:
        """Generalisation x neighbors x entropy^0.4: what speaks for it before its stability is known.

        Where the person said which images belong together, also x the share of these pairs that it keeps.
        """
        pairs = 1.0 if self.pairs_together is None else self.pairs_together
        known = max(self.generalisation or 0.0, 0.0) * max(self.neighbors or 0.0, 0.0) * pairs
        return known * self.entropy**ENTROPY_POWER

    def worth(self, ranking: Ranking) -> float:
        """What orders candidates before any is tried on subsamples: the promise or the composite."""
        return self.promise if ranking == "evidence" else self.composite

    @property
    def verdict(self) -> Verdict | None:
        """What the clustering is worth; None where it was not tried on subsamples."""
        found = verdict(
            structured=self.state == "ranked",
            stability=self.stability,
            generalisation=self.generalisation,
            agreement=self.agreement,
        )
        return None if found is None else with_two_kinds(found, self.two_kinds, self.n_clusters)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; the labels' place is left out."""
        return {name: value for name, value in asdict(self).items() if name != "labels"}


def leaderboard_row(
    result: dict[str, Any],
    labels_path: Path,
    weights: CompositeSettings,
    pairs: NDArray[np.integer[Any]] | None = None,
) -> LeaderboardRow:
    """Make a row of a worker's scores, in state "ranked" or "no structure"; the ranks are given later."""
    labels: NDArray[np.int32] = np.load(labels_path, allow_pickle=False)
    counts = np.sort(sizes(labels))[::-1]
    shares = counts[counts > 0] / len(labels)
    together = pair_share(labels, pairs) if pairs is not None and len(pairs) else None
    own, floor = float(result["silhouette"]), result.get("floor")
    reason = ""
    if result["n_clusters"] < 2:
        reason = "It put everything in one cluster." if result["n_clusters"] else "It called every image noise."
    elif floor is None or own <= floor:
        reason = "Its silhouette is not above that of its own labels shuffled."
    return LeaderboardRow(
        algorithm=result["algorithm"],
        parameters=dict(result["parameters"]),
        state="no structure" if reason else "ranked",
        reason=reason,
        composite=composite(own, result["balance"], result["noise_share"], pairs_together=together, settings=weights),
        silhouette=own,
        balance=result["balance"],
        noise_share=result["noise_share"],
        n_clusters=result["n_clusters"],
        largest_share=result["largest_share"],
        seconds=result["seconds"],
        floor=floor,
        generalisation=result.get("generalisation"),
        neighbors=result.get("neighbors"),
        pairs_together=together,
        entropy=float(-(shares * np.log(shares)).sum()),
        sizes=tuple(int(size) for size in counts[:1000]),
        notes=tuple(result.get("notes", ())),
        labels=labels_path,
    )


def without_repeats(rows: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    """Set aside ranked rows whose labels are the same as an earlier row's; the reason names that one."""
    seen: dict[bytes, str] = {}
    kept = []
    for row in rows:
        if row.state == "ranked" and row.labels is not None:
            digest = hashlib.blake2b(np.load(row.labels, allow_pickle=False).tobytes(), digest_size=16).digest()
            if digest in seen:
                row = replace(row, state="repeated", reason=f"The same clusters as {seen[digest]}.")
            else:
                seen[digest] = row.title
        kept.append(row)
    return kept


def is_overlarge(row: LeaderboardRow, max_largest_share: float) -> bool:
    """Whether one cluster holds more than its share: the limit, or one and a half even shares where K is small."""
    few = 1.5 / row.n_clusters if row.n_clusters > 1 else 0.0
    return row.largest_share > max(max_largest_share, few)


def first_order(rows: Sequence[LeaderboardRow], ranking: Ranking, max_largest_share: float) -> list[LeaderboardRow]:
    """Return ranked rows in falling promise or composite; those with one overlarge cluster follow all others."""

    def key(row: LeaderboardRow) -> tuple[bool, float, str]:
        return is_overlarge(row, max_largest_share), -row.worth(ranking), row.title

    return sorted((row for row in rows if row.state == "ranked"), key=key)


def final_order(
    rows: Sequence[LeaderboardRow], ranking: Ranking, *, near_tie: float, max_largest_share: float
) -> list[LeaderboardRow]:
    """Return ranked rows in their order, numbered, with their evidence.

    By evidence: rows tried on subsamples in falling evidence, the others after them in falling promise. By composite:
    falling, near ties broken by stability. Either way those with one overlarge cluster follow all others.
    """
    ordered = first_order([with_evidence(row) for row in rows], ranking, max_largest_share)
    if ranking == "composite":
        ordered = break_ties(ordered, near_tie, max_largest_share)
    else:
        ordered.sort(
            key=lambda row: (is_overlarge(row, max_largest_share), row.evidence is None, -(row.evidence or 0.0))
        )
    return [replace(row, rank=number) for number, row in enumerate(ordered, start=1)]


def with_evidence(row: LeaderboardRow) -> LeaderboardRow:
    """Return the row with its evidence, where its stability is known."""
    return row if row.stability is None else replace(row, evidence=max(row.stability, 0.0) * row.promise)


def rival_number(rows: Sequence[LeaderboardRow]) -> int | None:
    """Return another number of clusters for which there is nearly as much evidence as for the first rank's.

    It differs by more than a factor of `CLEAR_FACTOR`, and its evidence is at least `CLEAR_SHARE` of the first's. None
    where the first rank's number is clear, or nothing was tried on subsamples.
    """
    if not rows or not rows[0].evidence:
        return None
    first = rows[0]
    near = [
        row
        for row in rows[1:]
        if row.evidence is not None
        and first.evidence is not None
        and row.evidence >= CLEAR_SHARE * first.evidence
        and max(row.n_clusters / first.n_clusters, first.n_clusters / row.n_clusters) > CLEAR_FACTOR
    ]
    return max(near, key=lambda row: row.evidence or 0.0).n_clusters if near else None


def way_of(row: LeaderboardRow) -> tuple[str, str]:
    """Return the way a row was clustered in: the method and the space."""
    return row.algorithm, str(row.parameters.get("reduce", ""))


def rivals_of(row: LeaderboardRow, others: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    """Return the rival of each other way to cluster, the nearest number of clusters first.

    A rival is the way's ranked candidate whose number of clusters is nearest, by ratio and within a factor of 1.5. A
    vote of several candidates is no way of its own.
    """
    rivals: dict[tuple[str, str], tuple[float, LeaderboardRow]] = {}
    for other in others:
        way = way_of(other)
        if other.state != "ranked" or other.labels is None or other.algorithm == NAME or way == way_of(row):
            continue
        apart = abs(float(np.log(other.n_clusters / row.n_clusters)))
        if apart <= np.log(1.5) and (way not in rivals or apart < rivals[way][0]):
            rivals[way] = apart, other
    return [rival for _, rival in sorted(rivals.values(), key=lambda pair: pair[0])]


def agreement_of(row: LeaderboardRow, others: Sequence[LeaderboardRow]) -> float | None:
    """Return the mean ARI between a row and its rivals, see `rivals_of`; None without any."""
    rivals = rivals_of(row, others)
    if row.labels is None or not rivals:
        return None
    own = np.load(row.labels, allow_pickle=False)
    found = [
        ari_between(own, np.load(other.labels, allow_pickle=False)) for other in rivals if other.labels is not None
    ]
    return float(np.mean(found))


def break_ties(rows: Sequence[LeaderboardRow], near: float, max_largest_share: float) -> list[LeaderboardRow]:
    """Order rows in falling composite that stand within `near` of a leader's by their stability.

    A leader and all that follow within `near` of it form one group; the next leader is the first beyond.
    Rows without a stability keep their order behind those of their group that have one.
    """
    left, ordered = list(rows), []
    while left:
        leader = left[0]
        group = [
            row
            for row in left
            if leader.composite - row.composite <= near
            and is_overlarge(row, max_largest_share) == is_overlarge(leader, max_largest_share)
        ]
        known = {id(row) for row in group}
        group.sort(key=lambda row: -1.0 if row.stability is None else row.stability, reverse=True)
        ordered += group
        left = [row for row in left if id(row) not in known]
    return ordered


def around_target(
    embeddings: NDArray[Any],
    labels: NDArray[np.int32],
    targets: Sequence[int],
    *,
    names: Sequence[Any] | None = None,
    nearest: int = 8,
) -> tuple[dict[str, Any], ...]:
    """Return for each target row its cluster, that cluster's size and its nearest rows there, by name too."""
    from engine.core.vectors import unit
    from engine.images.sources import shown

    def name_of(row: int) -> str:
        assert names is not None
        return shown(names[row]) if isinstance(names[row], bytes) else str(names[row])

    answers = []
    for row in targets:
        cluster = int(labels[row])
        members = np.flatnonzero(labels == cluster) if cluster >= 0 else np.zeros(0, dtype=np.int64)
        others = members[members != row]
        order: list[int] = []
        if len(others):
            similarity = unit(embeddings[others]) @ unit(embeddings[row])
            order = others[np.argsort(-similarity, kind="stable")[:nearest]].tolist()
        answer = {"row": int(row), "cluster": cluster, "size": len(members), "nearest": order}
        if names is not None:
            answer |= {"image": name_of(row), "nearest_images": [name_of(other) for other in order]}
        answers.append(answer)
    return tuple(answers)
