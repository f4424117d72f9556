"""The order of a sweep's candidates: composite, gated by structure, near ties broken by stability.

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

from engine.evaluation.agreement import sizes
from engine.evaluation.scores import CompositeSettings, composite, pair_share

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
    stability : float or None
        ARI between clusterings of two overlapping 80% subsamples; computed for the first ranks.
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
    stability: float | None = None
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
        pairs_together=together,
        sizes=tuple(int(size) for size in np.sort(sizes(labels))[::-1][:1000]),
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


def by_composite(rows: Sequence[LeaderboardRow], max_largest_share: float) -> list[LeaderboardRow]:
    """Return ranked rows in falling composite; those with one overlarge cluster follow all others."""
    ranked = [row for row in rows if row.state == "ranked"]
    return sorted(ranked, key=lambda row: (row.largest_share > max_largest_share, -row.composite, row.title))


def break_ties(rows: Sequence[LeaderboardRow], near: float, max_largest_share: float) -> list[LeaderboardRow]:
    """Order rows that stand within `near` of a leader's composite by stability, and number the ranks.

    A leader and all that follow within `near` of it form one group; the next leader is the first beyond.
    Rows without stability keep their order behind those of their group that have it.
    """
    left, ordered = list(rows), []
    while left:
        leader = left[0]
        group = [
            row
            for row in left
            if leader.composite - row.composite <= near
            and (row.largest_share > max_largest_share) == (leader.largest_share > max_largest_share)
        ]
        group.sort(key=lambda row: -1.0 if row.stability is None else row.stability, reverse=True)
        ordered += group
        left = left[len(group) :]
    return [replace(row, rank=number) for number, row in enumerate(ordered, start=1)]


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
