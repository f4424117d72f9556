"""Replaying label events over a base clustering: the same run exactly, any other run by its images.

Events name images, so they hold on every clustering. On the run that they were made on, merge, split, move and reject
also say which cluster; on another run the cluster is found again by its images:

- a label stays with its images; a cluster is named when more than half of its images got one name by naming;
- merge: clusters in which the merged images are the majority are merged;
- split: the parts are separated wherever they share a cluster, the minority moving out;
- move: the images go where most of the target's images (the anchors) are now;
- reject: an image is rejected where it lies with most of the cluster that it was rejected from, else it is free;
- lock: a locked image keeps its label, status and place against every later event until it is unlocked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import ids
from engine.errors import InputError
from engine.labels.log import Event
from engine.labels.state import CONFIRMED, LOCKED, PLAIN, REJECTED, UNSORTED

Rows = NDArray[np.int32]


class Locator:
    """Finds content ids among (n,) S16 distinct ids; by their first eight bytes where those differ."""

    def __init__(self, contents: ids.Ids) -> None:
        self.contents = contents
        halves = _halves(np.ascontiguousarray(contents).tobytes())
        self._order = np.argsort(halves[:, 0], kind="stable")
        self._first = halves[self._order, 0]
        self._second = halves[self._order, 1]
        repeated = bool((self._first[1:] == self._first[:-1]).any())
        if repeated and len(np.unique(contents)) < len(contents):
            raise InputError("Each image must appear once, by its content id.", "Pass one row per distinct image.")
        self._simple = not repeated and len(contents) > 0

    def find(self, blob: bytes) -> Rows:
        """Return the row of each 16-byte id in `blob`, -1 where it is not known."""
        if not self._simple:
            return ids.positions(self.contents, ids.pack(blob)).astype(np.int32)
        halves = _halves(blob)
        at = np.minimum(np.searchsorted(self._first, halves[:, 0]), len(self._first) - 1)
        found = (self._first[at] == halves[:, 0]) & (self._second[at] == halves[:, 1])
        return np.where(found, self._order[at], -1).astype(np.int32)


def _halves(blob: bytes) -> NDArray[np.uint64]:
    return np.frombuffer(blob, dtype=np.uint64).reshape(-1, 2)


@dataclass
class Pending:
    """What a foreign event asked for, to be checked against the final state (see `conflicts`)."""

    kind: str
    event: int
    rows: Rows
    rest: Rows = field(default_factory=lambda: np.empty(0, np.int32))
    code: int = -1


class Replay:
    """The labels of one clustering while events are applied; `advance` goes on from what was applied before.

    Parameters
    ----------
    contents : (n,) S16
        Distinct images.
    base : (n,) int32
        The clustering, -1 for noise.
    run : str
        Its name; events with the same name apply exactly, all others by their images.
    """

    def __init__(self, contents: ids.Ids, base: NDArray[np.int32], run: str) -> None:
        self.contents, self.base, self.run = contents, base, run
        self.n_base = int(base.max(initial=UNSORTED)) + 1
        self.locator = Locator(contents)
        self._found: dict[int, Rows] = {}
        self._reset()

    def _reset(self) -> None:
        n = len(self.base)
        self.applied: list[int] = []
        self.cluster = self.base.astype(np.int32, copy=True)
        self.own = np.full(n, -1, np.int32)
        self.naming = np.zeros(n, bool)
        self.status = np.zeros(n, np.uint8)
        self.last = np.zeros(n, np.int64)
        self.sizes = np.bincount(self.cluster + 1, minlength=self.n_base + 1)
        self.codes: dict[str, int] = {}
        self.origin: dict[int, str] = {}
        self.apart: list[tuple[int, int]] = []
        self.pending: list[Pending] = []
        self.unknown = 0

    def advance(self, events: list[Event]) -> None:
        """Apply `events`, from the start if what was applied is not their beginning."""
        wanted = [event.id for event in events]
        if self.applied != wanted[: len(self.applied)]:
            self._reset()
        fresh = events[len(self.applied) :]
        self._locate(fresh)
        for event in fresh:
            self._apply(event)
        self.applied = wanted

    def _locate(self, events: list[Event]) -> None:
        """Find the rows of many events by one search."""
        missing = [event for event in events if event.id not in self._found]
        if not missing:
            return
        rows = self.locator.find(b"".join(event.blob for event in missing))
        ends = np.cumsum([len(event.blob) // ids.WIDTH for event in missing])[:-1]
        for event, part in zip(missing, np.split(rows, ends), strict=True):
            self._found[event.id] = part

    def _apply(self, event: Event) -> None:
        found = self._found[event.id]
        rows, anchors = found[: event.count], found[event.count :]
        exact = event.run == self.run
        known = rows >= 0
        free = known & (self.status[rows] != LOCKED)
        if event.kind in ("rename", "name", "label", "confirm", "lock"):
            self._label(event, rows, free, exact)
        elif event.kind == "unlock":
            self.status[rows[known & (self.status[rows] == LOCKED)]] = CONFIRMED
        elif event.kind == "merge":
            self._merge(event, rows[free], exact)
        elif event.kind == "split":
            self._split(event, rows, free, anchors[anchors >= 0], exact)
        elif event.kind == "move":
            self._move(event, rows[free], anchors[anchors >= 0], exact)
        elif event.kind == "reject":
            self._reject(event, rows, free, anchors, exact)
        elif event.kind == "apart":
            self._keep_apart(event, rows[known], anchors[anchors >= 0], exact)
        self.last[rows[free]] = event.id
        self.unknown += int(len(rows) - np.count_nonzero(known))

    # -- what events do -------------------------------------------------------------------------

    def _label(self, event: Event, rows: Rows, free: NDArray[np.bool_], exact: bool) -> None:
        """Give labels; naming a cluster counts towards its name, labelling single images does not."""
        groups = event.detail["labels"]
        codes: Any = self._code(groups[0][0])
        naming = event.kind in ("rename", "name")
        if len(groups) > 1:
            each = np.array([self._code(label) for label, _ in groups], np.int32)
            part = np.repeat(np.arange(len(groups)), [count for _, count in groups])
            codes = each[part][free]
            if naming and not exact:
                for index in range(len(groups)):
                    self._wait("scattered", event, rows[free & (part == index)], code=int(each[index]))
        elif naming and not exact:
            self._wait("scattered", event, rows[free], code=codes)
        rows = rows[free]
        if naming:
            self.naming[rows] = codes >= 0
        else:
            self.naming[rows] &= self.own[rows] == codes
            self.status[rows] = LOCKED if event.kind == "lock" else CONFIRMED
        self.own[rows] = codes

    def _merge(self, event: Event, rows: Rows, exact: bool) -> None:
        into = int(event.detail["into"])
        if exact:
            self._put(rows, into)
            self.origin[into] = "merged"
        else:
            there = self.cluster[rows]
            found, counts = np.unique(there[there >= 0], return_counts=True)
            held = found[2 * counts > self.sizes[found + 1]]
            if len(held) > 1:
                into = int(held[np.argmax(self.sizes[held + 1])])
                self._put(self._movable(np.setdiff1d(held, [into])), into)
                self.origin[into] = "merged"
            self._wait("merge", event, rows)
        if event.detail.get("label"):
            self._give(rows, event.detail["label"])

    def _split(self, event: Event, rows: Rows, free: NDArray[np.bool_], rest: Rows, exact: bool) -> None:
        parts = event.detail["parts"]
        part = np.repeat(np.arange(len(parts)), [count for _, count in parts])[free]
        rows = rows[free]
        first = self.n_base + event.ordinal
        leaves = np.ones(len(rows), bool)
        if not exact:
            leaves = self._strays(rows, part, rest, float(event.detail.get("rest_scale", 1.0)), len(parts))
        self._put(rows[leaves], (first + part[leaves]).astype(np.int32))
        for index, (label, _) in enumerate(parts):
            self.origin[first + index] = "split"
            chosen = rows[part == index]
            self._give(chosen, label)
            if not exact:
                others = np.concatenate([rows[part != index], rest])
                self._wait("apart", event, chosen, rest=others)
        self.status[rows[self.status[rows] == REJECTED]] = PLAIN

    def _strays(self, rows: Rows, part: NDArray[np.int64], rest: Rows, scale: float, n_parts: int) -> NDArray[np.bool_]:
        """Return which images share a cluster where another part (or the rest, the last) has more of the event."""
        there = self.cluster[np.concatenate([rows, rest])]
        side = np.concatenate([part, np.full(len(rest), n_parts)])
        found, at = np.unique(there, return_inverse=True)
        weights = np.where(side == n_parts, scale, 1.0)
        counts = np.bincount(at * (n_parts + 1) + side, weights, minlength=len(found) * (n_parts + 1))
        table = counts.reshape(len(found), n_parts + 1)[:, ::-1]  # on a tie the rest keeps the place
        owner = n_parts - np.argmax(table, axis=1)
        stray: NDArray[np.bool_] = (owner[at[: len(rows)]] != part) & (there[: len(rows)] >= 0)
        return stray

    def _move(self, event: Event, rows: Rows, anchors: Rows, exact: bool) -> None:
        target = int(event.detail["to"]) if exact else self._mode(anchors)
        if target >= 0:
            self._put(rows, target)
        else:
            self._wait("target", event, rows)
        self._give(rows, event.detail.get("label"))
        self.status[rows] = CONFIRMED

    def _reject(self, event: Event, rows: Rows, free: NDArray[np.bool_], anchors: Rows, exact: bool) -> None:
        self._give(rows[free], None)
        start, anchored = 0, 0
        for _, count, n_anchors in event.detail["sources"]:
            chosen = rows[start : start + count][free[start : start + count]]
            side = anchors[anchored : anchored + n_anchors]
            start, anchored = start + count, anchored + n_anchors
            if not exact and n_anchors:
                home = self._mode(side[side >= 0])
                freed = self.cluster[chosen] != home
                self.status[chosen[freed & (self.status[chosen] == REJECTED)]] = PLAIN
                chosen = chosen[~freed]
            self._put(chosen, UNSORTED)
            self.status[chosen] = REJECTED

    def _keep_apart(self, event: Event, rows: Rows, anchors: Rows, exact: bool) -> None:
        pair = event.detail["clusters"] if exact else (self._mode(rows), self._mode(anchors))
        low, high = sorted(int(cluster) for cluster in pair)
        if low >= 0 and low != high:
            self.apart.append((low, high))
        if not exact:
            self._wait("apart", event, rows, rest=anchors)

    # -- small steps ----------------------------------------------------------------------------

    def _code(self, label: str | None) -> int:
        return -1 if label is None else self.codes.setdefault(label, len(self.codes))

    def _give(self, rows: Rows, label: str | None) -> None:
        """Label images by their cluster's name."""
        self.own[rows] = self._code(label)
        self.naming[rows] = label is not None

    def _put(self, rows: Rows, target: int | Rows) -> None:
        """Set clusters and keep the sizes."""
        highest = int(np.max(target, initial=UNSORTED)) + 2
        if highest > len(self.sizes):
            self.sizes = np.concatenate([self.sizes, np.zeros(max(highest, len(self.sizes)), self.sizes.dtype)])
        np.subtract.at(self.sizes, self.cluster[rows] + 1, 1)
        self.cluster[rows] = target
        np.add.at(self.sizes, self.cluster[rows] + 1, 1)

    def _movable(self, clusters: NDArray[np.int32]) -> Rows:
        """Return the unlocked images of some clusters."""
        listed = np.zeros(len(self.sizes), bool)
        listed[clusters + 1] = True
        return np.flatnonzero(listed[self.cluster + 1] & (self.status != LOCKED)).astype(np.int32)

    def _mode(self, rows: Rows) -> int:
        """Return the cluster that holds most of `rows`, the lowest on a tie; -1 where none does."""
        there = self.cluster[rows]
        there = there[there >= 0]
        if not len(there):
            return UNSORTED
        found, counts = np.unique(there, return_counts=True)
        return int(found[np.argmax(counts)])

    def _wait(self, kind: str, event: Event, rows: Rows, *, rest: Rows | None = None, code: int = -1) -> None:
        self.pending.append(Pending(kind, event.id, rows, rest if rest is not None else np.empty(0, np.int32), code))
