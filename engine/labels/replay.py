"""Replaying label events over a base clustering: the same run exactly, any other run by its images.

Events name images, so they hold on every clustering. On the run that they were made on, merge, split, move and reject
also say which cluster; on another run the cluster is found again by its images:

- a label stays with its images; a cluster is named when more than half of its images got one name by naming;
- merge: clusters in which the merged images are the majority are merged;
- split: the parts are separated wherever they share a cluster, the minority moving out;
- move: the images go where most of the target's images (the anchors) are now;
- reject: an image is rejected where it lies with most of the cluster that it was rejected from, else it is free;
- import: an image gets what the file said of it: label, who gave it, status, and the name that its cluster had;
- suggest: an image keeps its label, and what the file suggests waits for review;
- lock: a locked image keeps its label, status and place against every later event until it is unlocked.

Every label knows its source. What a person gave to an image that they looked at stays through whatever is done to a
group, unless the event was told to include it; events written before sources were kept overwrote it, and still do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core import ids
from engine.core.errors import InputError
from engine.labels.log import Event
from engine.labels.probability import unpack
from engine.labels.state import (
    ACCEPTED_GUESS,
    BY_YOU,
    CLUSTER_NAME,
    CONFIRMED,
    IMPORTED,
    LOCKED,
    NO_LABEL,
    PERSONAL,
    PLAIN,
    REJECTED,
    SOURCE_NAMES,
    STATUS_NAMES,
    UNSORTED,
)

Rows = NDArray[np.int64]
Free = NDArray[np.bool_] | slice
Sides = tuple[tuple[Rows, int], tuple[Rows, int]]
CHECKPOINT_EVERY = 64
CHECKPOINTS = 3


_WORKING = (
    *("cluster", "own", "vote", "status", "source", "probability", "last", "seal", "seals", "sizes"),
    *("codes", "origin", "apart", "different", "pending", "suggested", "chance"),
)
_COUNTS = ("unknown", "_locks", "_audits", "_guesses", "_targets")


def _parts(groups: list[list[Any]]) -> NDArray[np.int64]:
    """Return the group number of each image, from [what, count, ...] of each group."""
    return np.repeat(np.arange(len(groups)), [group[1] for group in groups])


def _said_by(event: Event) -> str:
    """Return who gave the labels of a `label` event: "you", "guess" or "group".

    Before this was written down, only accepting a whole list of guesses gave several labels by one event.
    """
    return str(event.detail.get("by", "you" if len(event.detail["labels"]) == 1 else "guess"))


def _without(kept: NDArray[np.bool_] | None, rows: Rows, *others: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Return rows, and what stands beside them, without those that keep their label; a single code stays one."""
    if kept is None:
        return (rows, *others)
    return tuple(part[~kept] if np.ndim(part) else part for part in (rows, *others))


@dataclass
class Pending:
    """What a foreign event asked for, to be checked against the final state (see `conflicts`)."""

    kind: str
    event: int
    rows: Rows
    rest: Rows = field(default_factory=lambda: np.empty(0, np.int64))
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
        self.index = ids.IdIndex(contents)
        if len(self.index.distinct()) < len(contents):
            raise InputError("Each image must appear once, by its content id.", "Pass one row per distinct image.")
        self._found: dict[int, tuple[Rows, bool]] = {}  # rows of each event, and whether any is not in this data set
        self._reset()

    def _reset(self) -> None:
        n = len(self.base)
        self.applied: list[int] = []
        self.cluster = self.base.astype(np.int32, copy=True)
        self.own = np.full(n, -1, np.int32)
        self.vote = np.full(n, -1, np.int32)  # what naming called the image's cluster, also where its own label differs
        self.status = np.zeros(n, np.uint8)
        self.source = np.zeros(n, np.uint8)  # "by you" also for an image that was looked at and has no label yet
        self.probability = np.full(n, np.nan, np.float32)
        self.last = np.zeros(n, np.int64)  # the event that touched the image last, from the first lost target on
        self.seal = np.full(n, -1, np.int32)  # the audit that covers the image
        self.suggested = np.full(n, -1, np.int32)  # what an import suggests
        self.chance = np.full(n, np.nan, np.float32)
        self.seals: list[int] = []  # of each audit, the most wrong images among those it covers
        self.sizes = np.bincount(self.cluster + 1, minlength=self.n_base + 1)
        self.codes: dict[str, int] = {}
        self.origin: dict[int, str] = {}
        self.apart: list[tuple[int, int]] = []
        self.different: list[Sides] = []  # images of both sides of each pair that was told apart
        self.pending: list[Pending] = []
        self.unknown = 0
        self._locks = self._audits = self._guesses = self._targets = False
        self._checkpoints: list[tuple[list[int], dict[str, Any]]] = []

    def advance(self, events: list[Event]) -> None:
        """Apply `events`, from the last checkpoint (or the start) that what was applied shares with them."""
        wanted = [event.id for event in events]
        if self.applied != wanted[: len(self.applied)]:
            self._rewind(wanted)
        self._locate(events[len(self.applied) :])
        for at in range(len(self.applied), len(events)):
            if events[at].kind != "carry":  # the catalog knows those pictures by the ids of before
                self._apply(events[at])
            self.applied.append(wanted[at])
            since = at + 1 - (len(self._checkpoints[-1][0]) if self._checkpoints else 0)
            if since >= CHECKPOINT_EVERY and len(events) - at - 1 <= CHECKPOINT_EVERY:
                kept = {name: value for name, value in vars(self).items() if name in _WORKING}
                self._checkpoints.append((self.applied.copy(), {name: value.copy() for name, value in kept.items()}))
                self._checkpoints[-1][1]["counts"] = tuple(getattr(self, name) for name in _COUNTS)
                del self._checkpoints[:-CHECKPOINTS]

    def _rewind(self, wanted: list[int]) -> None:
        """Return to the newest checkpoint that is a beginning of `wanted`."""
        fitting = [kept for kept in self._checkpoints if kept[0] == wanted[: len(kept[0])]]
        self._reset()
        if fitting:
            applied, kept = fitting[-1]
            self._checkpoints = fitting
            self.applied = applied.copy()
            for name in _WORKING:
                setattr(self, name, kept[name].copy())
            for name, value in zip(_COUNTS, kept["counts"], strict=True):
                setattr(self, name, value)

    def _locate(self, events: list[Event]) -> None:
        """Find the rows of many events by one search."""
        missing = [event for event in events if event.id not in self._found]
        if not missing:
            return
        rows = self.index.find(ids.pack(b"".join(event.blob for event in missing)))
        absent = np.flatnonzero(rows < 0)
        start = 0
        for event in missing:
            end = start + len(event.blob) // ids.WIDTH
            strange = len(absent) > 0 and bool(np.searchsorted(absent, start) < np.searchsorted(absent, end))
            self._found[event.id] = rows[start:end], strange
            start = end

    def _apply(self, event: Event) -> None:
        found, strange = self._found[event.id]
        count = event.count
        rows, anchors = found[:count], found[count:]
        exact = event.run == self.run
        free: Free = slice(None)
        if self._locks or strange:
            known = rows >= 0
            free = known.copy()
            free[known] = self.status[rows[known]] != LOCKED
            self.unknown += int(count - np.count_nonzero(known))
            if event.kind == "unlock":
                freed = rows[known & ~free]
                self.status[freed] = np.where(np.isin(self.source[freed], PERSONAL), CONFIRMED, PLAIN)
        chosen = rows[free]
        if strange and event.kind not in ("reject", "audit"):
            anchors = anchors[anchors >= 0]
        if event.kind in ("rename", "name", "label", "confirm", "lock"):
            self._label(event, chosen, free, exact)
        elif event.kind == "merge":
            self._merge(event, chosen, exact)
        elif event.kind == "split":
            self._split(event, chosen, free, anchors, exact)
        elif event.kind == "move":
            self._move(event, chosen, anchors, exact)
        elif event.kind == "reject":
            self._reject(event, chosen, free, anchors, exact)
        elif event.kind in ("import", "suggest"):
            (self._import if event.kind == "import" else self._suggest)(event, chosen, free)
        elif event.kind in ("apart", "audit"):
            (self._keep_apart if event.kind == "apart" else self._audit)(event, rows[rows >= 0], anchors, exact)
        if self._targets:
            self.last[chosen] = event.id

    # -- what events do -------------------------------------------------------------------------

    def _label(self, event: Event, rows: Rows, free: Free, exact: bool) -> None:
        """Give labels; naming a cluster counts towards its name, labelling single images does not."""
        groups = event.detail["labels"]
        codes: Any = self._code(groups[0][0])
        naming = event.kind in ("rename", "name")
        if len(groups) > 1:
            each = np.array([self._code(label) for label, _ in groups], np.int32)
            part = _parts(groups)[free]
            codes = each[part]
            if naming and not exact:
                ends = np.searchsorted(part, np.arange(len(groups)), side="right")
                for code, chosen in zip(each.tolist(), np.split(rows, ends[:-1]), strict=True):
                    if code >= 0:
                        self._wait("scattered", event, chosen, code=code)
        elif naming and not exact and codes >= 0:
            self._wait("scattered", event, rows, code=codes)
        if naming:
            self._give(event, rows, codes, exact)
        elif event.kind == "confirm":
            self._by_person(rows, codes)
        elif event.kind == "lock":
            self._lock(event, rows, codes)
        elif _said_by(event) == "you":
            self._by_person(rows, codes)
            if codes < 0 if isinstance(codes, int) else codes.min(initial=0) < 0:
                bare = rows[self.own[rows] < 0]  # a label that was taken away says nothing
                self.source[bare], self.status[bare] = NO_LABEL, PLAIN
        else:
            self._by_group(event, rows, codes, free)

    def _by_person(self, rows: Rows, codes: Any) -> None:  # noqa: ANN401 - one code or one for each
        """Give what a person said who looked at each image; without a label it was looked at all the same."""
        self.vote[rows[self.vote[rows] != codes]] = -1
        self.own[rows], self.source[rows], self.status[rows] = codes, BY_YOU, CONFIRMED
        if self._audits:
            self.seal[rows] = -1
        if self._guesses:
            self.probability[rows] = np.nan

    def _by_group(self, event: Event, rows: Rows, codes: Any, free: Free) -> None:  # noqa: ANN401
        """Give labels to images that were chosen together: accepted guesses, or a label for a whole selection."""
        guess = _said_by(event) == "guess"
        known = unpack(event.detail.get("probability"), event.count)[free] if guess else np.full(len(rows), np.nan)
        kept = self._kept(event, rows)
        if kept is None and "keeps" in event.detail:  # who is included and said the same already has said it
            same = np.isin(self.source[rows], PERSONAL) & (self.own[rows] >= 0) & (self.own[rows] == codes)
            kept = same if same.any() else None
        rows, codes, known = _without(kept, rows, codes, known)
        self.vote[rows[self.vote[rows] != codes]] = -1
        self._forget(rows, codes)
        self.own[rows] = codes
        self.source[rows] = np.where(np.asarray(codes) >= 0, ACCEPTED_GUESS if guess else CLUSTER_NAME, NO_LABEL)
        self.probability[rows] = known
        self.status[rows] = PLAIN
        self._guesses |= guess

    def _lock(self, event: Event, rows: Rows, codes: Any) -> None:  # noqa: ANN401
        """Protect images with the labels that were seen; who gave them stays as it was."""
        self.status[rows] = LOCKED
        self._locks = True
        rows, codes = _without(self._kept(event, rows), rows, codes)
        self._forget(rows, codes)
        changed = self.own[rows] != codes
        other = rows[changed]
        self.own[rows] = codes
        self.vote[rows[self.vote[rows] != codes]] = -1
        self.source[other] = np.where(self.own[other] >= 0, CLUSTER_NAME, NO_LABEL)
        self.probability[other] = np.nan

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
            self._give(event, rows, self._code(event.detail["label"]), exact)

    def _split(self, event: Event, rows: Rows, free: Free, rest: Rows, exact: bool) -> None:
        parts = event.detail["parts"]
        part = _parts(parts)[free]
        first = self.n_base + event.ordinal
        leaves = np.ones(len(rows), bool)
        if not exact:
            leaves = self._strays(rows, part, rest, float(event.detail.get("rest_scale", 1.0)), len(parts))
        self._put(rows[leaves], first + part[leaves])
        for index, (label, _) in enumerate(parts):
            self.origin[first + index] = "split"
            chosen = rows[part == index]
            if event.detail.get("by") == "you":
                self._put_by_person(chosen, self._code(label))
            else:
                self._give(event, chosen, self._code(label), exact)
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
            self._targets = True
        code = self._code(event.detail.get("label"))
        if event.detail.get("by", "you") == "you":
            self._put_by_person(rows, code)
        else:
            self._give(event, rows, code, exact)
            self.status[rows[self.status[rows] == REJECTED]] = PLAIN

    def _reject(self, event: Event, rows: Rows, free: Free, anchors: Rows, exact: bool) -> None:
        """Set aside; on another run only where the rest of the cluster that it was rejected from is (its anchors)."""
        sources = event.detail["sources"]
        rows, part = _without(self._kept(event, rows), rows, _parts(sources)[free])
        self._forget(rows, -1)
        self.own[rows], self.vote[rows], self.source[rows] = -1, -1, NO_LABEL
        if self._guesses:
            self.probability[rows] = np.nan
        if not exact:
            self.status[rows[self.status[rows] == CONFIRMED]] = PLAIN
            ends = np.cumsum([n_anchors for *_, n_anchors in sources])
            homes = np.array([self._mode(side[side >= 0]) for side in np.split(anchors, ends[:-1])])
            anchored = np.array([n_anchors > 0 for *_, n_anchors in sources])
            freed = anchored[part] & (self.cluster[rows] != homes[part])
            again = rows[freed]
            self.status[again[self.status[again] == REJECTED]] = PLAIN
            rows = rows[~freed]
        self._put(rows, UNSORTED)
        self.status[rows] = REJECTED

    def _keep_apart(self, event: Event, rows: Rows, anchors: Rows, exact: bool) -> None:
        pair = event.detail["clusters"] if exact else (self._mode(rows), self._mode(anchors))
        low, high = sorted(int(cluster) for cluster in pair)
        if low >= 0 and low != high:
            self.apart.append((low, high))
        sizes = event.detail.get("sizes", (len(rows), len(anchors)))  # older events do not say them
        self.different.append(((rows, int(sizes[0])), (anchors, int(sizes[1]))))
        if not exact:
            self._wait("apart", event, rows, rest=anchors)

    def _audit(self, event: Event, rows: Rows, shown: Rows, exact: bool) -> None:
        """Note the proven purity of the images that nobody labelled one by one, without those found to be wrong.

        The label that was audited becomes the images' own, so that a change shows. Those found to be wrong lose it; on
        the run that was audited they are set aside.
        """
        detail = event.detail
        wrong = shown[: int(detail["wrong"])] if len(shown) else shown
        most = int(detail["most_wrong"]) if "most_wrong" in detail else round((1 - detail["bound"]) * event.count)
        covered = np.setdiff1d(rows[(self.source[rows] != BY_YOU) | (self.own[rows] < 0)], wrong)
        if detail.get("label") is not None:
            bare = covered[(self.own[covered] < 0) & (self.status[covered] != LOCKED)]
            self.own[bare] = self._code(detail["label"])
            self.source[bare] = np.where(self.source[bare] == BY_YOU, BY_YOU, CLUSTER_NAME)
            covered = covered[self.source[covered] != BY_YOU]
        elif detail.get("labels"):  # of a whole set: each image has the label that it was audited with
            here = self._found[event.id][0][: event.count]
            codes = np.array([self._code(label) for label, _ in detail["labels"]], np.int32)[_parts(detail["labels"])]
            bare = (here >= 0) & (self.own[here] < 0) & (self.status[here] != LOCKED) & np.isin(here, covered)
            self.own[here[bare]] = codes[bare]
            self.source[here[bare]] = CLUSTER_NAME
            covered = covered[self.own[covered] >= 0]
        self.seal[rows] = -1
        self.seal[covered] = len(self.seals)
        self.seals.append(max(most - len(wrong), 0))
        self._audits = True
        bad = wrong[wrong >= 0]
        bad = bad[(self.status[bad] != LOCKED) & ~((self.source[bad] == BY_YOU) & (self.own[bad] >= 0))]
        self.own[bad], self.source[bad], self.probability[bad] = -1, NO_LABEL, np.nan
        if exact:
            self._put(bad, UNSORTED)
            self.status[bad] = REJECTED

    def _import(self, event: Event, rows: Rows, free: Free) -> None:
        """Give what a file said of each image; what it said of none (a source of a later version) is "imported"."""
        detail = event.detail
        part = _parts(detail["labels"])[free]
        codes = np.array([self._code(label) for label, _ in detail["labels"]], np.int32)
        votes = np.array([self._code(name) for name in detail["cluster_names"]], np.int32)
        names, states = dict(zip(SOURCE_NAMES, range(len(SOURCE_NAMES)), strict=True)), list(STATUS_NAMES)
        sources = np.array([names.get(name, IMPORTED) for name in detail["sources"]], np.uint8)
        statuses = np.array([states.index(name) if name in states else PLAIN for name in detail["statuses"]], np.uint8)
        self.own[rows], self.vote[rows] = codes[part], votes[part]
        self.source[rows], self.status[rows] = sources[part], statuses[part]
        self._locks |= bool((statuses == LOCKED).any())
        self._put(rows[statuses[part] == REJECTED], UNSORTED)
        self.probability[rows] = unpack(detail.get("probability"), event.count)[free]
        self._guesses |= bool((sources == ACCEPTED_GUESS).any())
        audits = np.array(detail["audits"], np.int32)  # of each group, the place in `most_wrong`, or -1
        self.seal[rows] = np.where(audits >= 0, audits + len(self.seals), -1)[part]
        self.seals.extend(int(most) for most in detail["most_wrong"])
        self._audits |= bool(detail["most_wrong"])

    def _suggest(self, event: Event, rows: Rows, free: Free) -> None:
        """Remember what a file suggests for each image."""
        codes = np.array([self._code(label) for label, _ in event.detail["labels"]], np.int32)
        self.suggested[rows] = codes[_parts(event.detail["labels"])[free]]
        self.chance[rows] = unpack(event.detail.get("probability"), event.count)[free]

    def bounds(self) -> NDArray[np.float32]:
        """Return (n,) the purity that the audits prove for the images that they still cover, NaN elsewhere.

        An audit bounds the number of wrong images; where images left it since, all of these may be among the rest.
        """
        bound = np.full(len(self.seal), np.nan, np.float32)
        if self.seals:
            covered = np.flatnonzero(self.seal >= 0)
            left = np.bincount(self.seal[covered], minlength=len(self.seals))
            purity = 1 - np.array(self.seals) / np.maximum(left, 1)
            bound[covered] = np.where(purity > 0, purity, np.nan)[self.seal[covered]]
        return bound

    def _forget(self, rows: Rows, codes: Any) -> None:  # noqa: ANN401 - one code or one for each
        """Take images whose label changes to another out of their audit; a first name for a cluster keeps them."""
        if self._audits:
            was = self.own[rows]
            self.seal[rows[(was >= 0) & (was != codes)]] = -1

    # -- small steps ----------------------------------------------------------------------------

    def _code(self, label: str | None) -> int:
        return -1 if label is None else self.codes.setdefault(label, len(self.codes))

    def _kept(self, event: Event, rows: Rows) -> NDArray[np.bool_] | None:
        """Return which of `rows` keep their label against a group action, because a person gave it to that image."""
        if not event.detail.get("keeps"):
            return None
        kept: NDArray[np.bool_] = np.isin(self.source[rows], PERSONAL) & (self.own[rows] >= 0)
        return kept if kept.any() else None

    def _give(self, event: Event, rows: Rows, codes: Any, exact: bool) -> None:  # noqa: ANN401
        """Label images by their cluster's name.

        What a person labelled otherwise votes for the name where the cluster is the one that was named, and keeps
        its label. An image that was looked at before its cluster had a name is by the person when it gets one.
        """
        kept = self._kept(event, rows)
        otherwise = None if exact or kept is None else kept & (self.own[rows] != codes)
        voters, names = _without(otherwise, rows, codes)
        self.vote[voters] = names
        rows, codes = _without(kept, rows, codes)
        self._forget(rows, codes)
        mine = np.isin(self.source[rows], PERSONAL)
        seen, others = rows[:0], rows[mine]
        if len(others):
            named = event.kind in ("rename", "name")
            own = self.own[rows]
            looked = (own == codes) | ((own < 0) & named)
            seen, others = rows[mine & looked], rows[mine & ~looked]
        said = self.source[seen]
        self.own[rows] = codes
        if isinstance(codes, int):
            self.source[rows] = CLUSTER_NAME if codes >= 0 else NO_LABEL
        else:
            self.source[rows] = np.where(codes >= 0, CLUSTER_NAME, NO_LABEL)
        self.source[seen] = said
        self.status[others[self.status[others] == CONFIRMED]] = PLAIN
        if self._guesses:
            self.probability[rows] = np.nan
        if self._audits:
            self.seal[seen[said == BY_YOU]] = -1

    def _put_by_person(self, rows: Rows, code: int) -> None:
        """Label images that a person picked for a cluster by its name, if it has one."""
        self._by_person(rows, code)
        self.vote[rows] = code

    def _put(self, rows: Rows, target: int | Rows) -> None:
        """Set clusters and keep the sizes."""
        highest = (target if isinstance(target, int) else int(np.max(target, initial=UNSORTED))) + 2
        if highest > len(self.sizes):
            self.sizes = np.concatenate([self.sizes, np.zeros(max(highest, len(self.sizes)), self.sizes.dtype)])
        if self._audits:
            self.seal[rows[self.cluster[rows] != target]] = -1
        self.sizes -= np.bincount(self.cluster[rows] + 1, minlength=len(self.sizes))
        self.cluster[rows] = target
        if isinstance(target, int):
            self.sizes[target + 1] += len(rows)
        else:
            self.sizes += np.bincount(target + 1, minlength=len(self.sizes))

    def _movable(self, clusters: NDArray[np.int32]) -> Rows:
        """Return the unlocked images of some clusters."""
        listed = np.zeros(len(self.sizes), bool)
        listed[clusters + 1] = True
        return np.flatnonzero(listed[self.cluster + 1] & (self.status != LOCKED))

    def _mode(self, rows: Rows) -> int:
        """Return the cluster that holds most of `rows`, the lowest on a tie; -1 where none does."""
        there = self.cluster[rows]
        there = there[there >= 0]
        if not len(there):
            return UNSORTED
        found, counts = np.unique(there, return_counts=True)
        return int(found[np.argmax(counts)])

    def told_apart(self) -> Iterator[tuple[int, int]]:
        """Yield the pairs of clusters that a person called different, also where both are other clusters by now.

        A side is the cluster that holds most of its images as long as these are at least half of that cluster.
        """
        yield from (pair for pair in self.apart if all(self.sizes[list(np.add(pair, 1))]))
        for sides in self.different:
            homes = [self._home(rows, size) for rows, size in sides]
            if min(homes) >= 0 and homes[0] != homes[1]:
                yield min(homes), max(homes)

    def _home(self, rows: Rows, size: int) -> int:
        """Return the cluster that is mostly what (m,) rows, a sample of `size` images, were; -1 for none."""
        home = self._mode(rows) if len(rows) else UNSORTED
        share = np.count_nonzero(self.cluster[rows] == home) / max(len(rows), 1)
        same = home >= 0 and 2 * share >= 1 and 2 * share * size >= self.sizes[home + 1]
        return home if same else UNSORTED

    def _wait(self, kind: str, event: Event, rows: Rows, *, rest: Rows | None = None, code: int = -1) -> None:
        self.pending.append(Pending(kind, event.id, rows, rest if rest is not None else np.empty(0, np.int64), code))
