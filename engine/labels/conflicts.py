"""From a finished replay to a `LabelState`: names of clusters, inherited labels, and the list of conflicts.

A conflict is never resolved silently: what the person said stays with the images, and the list says where this
clustering disagrees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from engine.labels.replay import Pending, Replay, Rows
from engine.labels.state import CLUSTER_NAME, CONFIRMED, LOCKED, NO_LABEL, REJECTED, Cluster, Conflict, LabelState

Ints = NDArray[np.int64]


def finish(replay: Replay, version: int) -> LabelState:
    """Return what the replay amounts to."""
    names = cluster_names(replay)
    labels = tuple(replay.codes)
    inherited = np.where(np.isin(replay.status, (REJECTED, LOCKED)), -1, names[replay.cluster + 1])
    codes = np.where(replay.own >= 0, replay.own, inherited).astype(np.int32)
    source = np.where(replay.own >= 0, replay.source, np.where(codes >= 0, CLUSTER_NAME, NO_LABEL)).astype(np.uint8)
    state = LabelState(
        contents=replay.contents,
        cluster=replay.cluster.copy(),
        codes=codes,
        given=replay.own.copy(),
        status=replay.status.copy(),
        source=source,
        probability=replay.probability.copy(),
        bound=replay.bounds(),
        label_names=labels,
        clusters=_clusters(replay, names, labels),
        conflicts=sorted(
            _conflicts(replay, names, labels), key=lambda item: (item.kind, item.label or "", item.clusters)
        ),
        apart=frozenset(replay.told_apart()),
        run=replay.run,
        version=version,
        unknown=replay.unknown,
        suggested=replay.suggested.copy(),
        suggested_chance=replay.chance.copy(),
    )
    arrays = (state.cluster, state.codes, state.given, state.status, state.source, state.probability, state.bound)
    for array in (*arrays, state.suggested, state.suggested_chance):
        array.flags.writeable = False
    return state


def cluster_names(replay: Replay) -> Ints:
    """Return the label code of every cluster, shifted by one so that -1 (unsorted, never named) is entry 0.

    A cluster's name is what more than half of its images were called by naming.
    """
    names = np.full(len(replay.sizes), -1, np.int64)
    voters = np.flatnonzero((replay.vote >= 0) & (replay.cluster >= 0))
    if len(voters):
        width = len(replay.codes)
        pairs = (replay.cluster[voters].astype(np.int64) + 1) * width + replay.vote[voters]
        found, counts = np.unique(pairs, return_counts=True)
        wins = 2 * counts > replay.sizes[found // width]
        names[found[wins] // width] = found[wins] % width
    return names


def _clusters(replay: Replay, names: Ints, labels: tuple[str, ...]) -> list[Cluster]:
    length = len(replay.sizes)
    confirmed = np.bincount(replay.cluster[replay.status == CONFIRMED] + 1, minlength=length)
    locked = np.bincount(replay.cluster[replay.status == LOCKED] + 1, minlength=length)
    return [
        Cluster(
            at - 1,
            labels[names[at]] if names[at] >= 0 else None,
            int(replay.sizes[at]),
            replay.origin.get(at - 1, "clustering"),
            int(confirmed[at]),
            int(locked[at]),
        )
        for at in (np.flatnonzero(replay.sizes[1:]) + 1).tolist()
    ]


def _conflicts(replay: Replay, names: Ints, labels: tuple[str, ...]) -> Iterator[Conflict]:
    yield from _mislabelled(replay, names, labels)
    waiting: dict[str, list[Pending]] = defaultdict(list)
    for pending in replay.pending:
        waiting[pending.kind].append(pending)
    yield from _scattered(replay, names, labels, waiting["scattered"])
    for pending in waiting["merge"]:
        yield from _unmerged(replay, pending)
    for pending in waiting["target"]:
        rows = pending.rows[replay.last[pending.rows] == pending.event]
        if len(rows):
            yield Conflict(
                "target", f"{images(len(rows))} were moved to a cluster that this clustering does not have.", rows
            )
    for pending in waiting["apart"]:
        yield from _together(replay, pending)


def _mislabelled(replay: Replay, names: Ints, labels: tuple[str, ...]) -> Iterator[Conflict]:
    """Images labelled otherwise than the name of their cluster."""
    name = names[replay.cluster + 1]
    rows = np.flatnonzero((replay.own >= 0) & (name >= 0) & (replay.own != name))
    if not len(rows):
        return
    pairs = replay.cluster[rows].astype(np.int64) * len(labels) + replay.own[rows]
    order = np.argsort(pairs, kind="stable")
    found, starts = np.unique(pairs[order], return_index=True)
    for pair, part in zip(found.tolist(), np.split(rows[order], starts[1:]), strict=True):
        cluster, label = pair // len(labels), labels[pair % len(labels)]
        yield Conflict(
            "label",
            f"{images(len(part))} labelled {label} {_lie(len(part))} in the cluster {labels[names[cluster + 1]]}.",
            part,
            (cluster,),
            label,
        )


def _scattered(replay: Replay, names: Ints, labels: tuple[str, ...], waiting: list[Pending]) -> Iterator[Conflict]:
    """Clusters named on another run whose images lie in several clusters here."""
    strays: dict[int, list[Rows]] = defaultdict(list)
    clusters: dict[int, set[int]] = defaultdict(set)
    for pending in waiting:
        rows = pending.rows[(replay.own[pending.rows] == pending.code) & (replay.cluster[pending.rows] >= 0)]
        there = replay.cluster[rows]
        home = _mode(there)
        name = names[there + 1]
        outside = (there != home) & ((name < 0) | (name == pending.code))
        if outside.any():
            strays[pending.code].append(rows[outside])
            clusters[pending.code] |= {home, *np.unique(there[outside]).tolist()}
    for code, parts in strays.items():
        rows = np.unique(np.concatenate(parts))
        yield Conflict(
            "scattered",
            f"{images(len(rows))} named {labels[code]} {_lie(len(rows))} outside the main cluster of that name.",
            rows,
            tuple(sorted(clusters[code])),
            labels[code],
        )


def _unmerged(replay: Replay, pending: Pending) -> Iterator[Conflict]:
    """Merged images that lie in more than one cluster here."""
    rows = pending.rows[replay.cluster[pending.rows] >= 0]
    there = replay.cluster[rows]
    outside = rows[there != _mode(there)]
    if len(outside):
        yield Conflict(
            "merge",
            f"{images(len(outside))} of {len(rows):,} that were merged {_lie(len(outside))} in other clusters again.",
            outside,
            tuple(np.unique(there).tolist()),
        )


def _together(replay: Replay, pending: Pending) -> Iterator[Conflict]:
    """Images that were told apart and share a cluster here; the fewer of each cluster are listed."""
    one, other = replay.cluster[pending.rows], replay.cluster[pending.rest]
    shared = np.intersect1d(one[one >= 0], other)
    fewer = [
        min((pending.rows[one == cluster], pending.rest[other == cluster]), key=len) for cluster in shared.tolist()
    ]
    if fewer:
        rows = np.concatenate(fewer)
        yield Conflict(
            "apart",
            f"{images(len(rows))} share a cluster with images that you called different.",
            rows,
            tuple(shared.tolist()),
        )


def _mode(clusters: NDArray[np.int32]) -> int:
    if not len(clusters):
        return -1
    found, counts = np.unique(clusters, return_counts=True)
    return int(found[np.argmax(counts)])


def images(count: int) -> str:
    """Return "1 image" or "1,234 images"."""
    return f"{count:,} image{'' if count == 1 else 's'}"


def _lie(count: int) -> str:
    return "lies" if count == 1 else "lie"


def total(conflicts: Iterable[Conflict]) -> int:
    """Return how many images the conflicts concern, each counted once."""
    rows = [conflict.rows for conflict in conflicts]
    return len(np.unique(np.concatenate(rows))) if rows else 0
