"""The label history of a data set: what a person can do to clusters and labels, each action one event.

Actions take the `LabelState` that the person saw and rows of it; they append one event on content ids and return it
with the sentence for the toast. `state` replays the history over any clustering, so a person's work survives every
re-run with another method, encoder or K.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.ids import Ids
from engine.core.workspace import Workspace
from engine.labels.audit import purity_bound
from engine.labels.conflicts import finish, images
from engine.labels.log import Event, EventLog, clean_label
from engine.labels.replay import Replay, Rows
from engine.labels.state import LOCKED, UNSORTED, LabelState

ANCHORS = 1024
REJECT_ANCHORS = 64
KEPT_REPLAYS = 4


class LabelHistory(EventLog):
    """Everything a person did to the labels of one data set, and what it amounts to.

    Actions raise `InputError` with a sentence when nothing would change or a name is refused, and `StorageError`
    when the catalog is locked or the disk is full; then nothing was written. Locked images are left as they are.

    Parameters
    ----------
    workspace : Workspace
        Where the catalog lives.
    dataset_id : str
        Whose labels.
    """

    def __init__(self, workspace: Workspace, dataset_id: str) -> None:
        super().__init__(workspace, dataset_id)
        self._replays: dict[str, Replay] = {}

    def state(self, contents: Ids, base_labels: NDArray[Any], *, run: str | None = None) -> LabelState:
        """Replay the history over a clustering.

        Parameters
        ----------
        contents : (n,) S16
            Distinct images.
        base_labels : (n,) int
            Their clusters, -1 for noise.
        run : str, optional
            Name of the clustering; by default the hash of the two arrays. Events made under the same name apply
            exactly, all others by their images.

        Raises
        ------
        InputError
            Different lengths, labels below -1, an image given twice.
        """
        base = np.ascontiguousarray(base_labels, dtype=np.int32)
        contents = np.ascontiguousarray(contents, dtype="S16")
        if base.shape != contents.shape or base.ndim != 1:
            raise InputError(f"{len(contents):,} images need as many labels, not {base.size:,}.")
        if len(base) and int(base.min()) < UNSORTED:
            raise InputError("Cluster numbers start at 0; -1 is noise.")
        digest = hashlib.blake2b(contents.tobytes(), digest_size=16)
        digest.update(base.tobytes())
        name = run if run is not None else digest.hexdigest()
        key = f"{name}/{digest.hexdigest()}"
        with self._lock:
            events, version = self.effective()
            replay = self._replays.pop(key, None) or Replay(contents.copy(), base.copy(), name)
            replay.advance(events)
            self._replays[key] = replay
            while len(self._replays) > KEPT_REPLAYS:
                del self._replays[next(iter(self._replays))]
            return finish(replay, version)

    # -- clusters -------------------------------------------------------------------------------

    def rename(self, state: LabelState, cluster: int, label: str | None) -> Event:
        """Name a cluster, or take its name away (None): its images get the label."""
        if cluster < 0:
            raise InputError("Unsorted images have no cluster to name.", "Move them to a cluster, or label them.")
        rows = self._changeable(state, state.rows(cluster), "rename")
        text = None if label is None else clean_label(label)
        shown = f"{images(len(rows))} -> {text}" if text else f"{images(len(rows))} have no label now"
        return self._label(state, "rename", rows, [(text, len(rows))], shown, clusters=[int(cluster)])

    def name(self, state: LabelState, names: Mapping[int, str], *, source: str = "") -> Event:
        """Name many clusters by one action, as automatic naming does; `source` says who proposed the names."""
        chosen = {int(cluster): clean_label(label) for cluster, label in names.items()}
        parts = {cluster: _unlocked(state, state.rows(cluster)) for cluster in chosen}
        parts = {cluster: rows for cluster, rows in parts.items() if len(rows)}
        if not parts:
            raise InputError("None of these clusters has images that can be named.")
        groups = [(chosen[cluster], len(rows)) for cluster, rows in parts.items()]
        rows = np.concatenate(list(parts.values()))
        shown = f"{len(parts):,} cluster{'' if len(parts) == 1 else 's'} named, {images(len(rows))}"
        return self._label(state, "name", rows, groups, shown, clusters=list(parts), source=source)

    def merge(
        self, state: LabelState, clusters: Sequence[int], *, into: int | None = None, label: str | None = None
    ) -> Event:
        """Merge clusters into one of them: `into`, else the largest named one, else the largest."""
        found = [state.find(cluster) for cluster in dict.fromkeys(int(cluster) for cluster in clusters)]
        known = [cluster for cluster in found if cluster is not None]
        if len(known) < 2:
            raise InputError("Merging needs two clusters or more.", "Choose at least two clusters with images.")
        best = max(known, key=lambda cluster: (cluster.name is not None, cluster.size, -cluster.id))
        target = best if into is None else state.find(into)
        if target is None or target not in known:
            raise InputError(f"Cluster {into} is not one of those to merge.")
        rows = self._changeable(state, state.rows(*(cluster.id for cluster in known)), "merge")
        text = clean_label(label) if label is not None else target.name or best.name
        shown = f"{len(known):,} clusters merged: {images(len(rows))} -> {text or f'Cluster {target.id}'}"
        detail = {"clusters": [cluster.id for cluster in known], "into": target.id, "label": text}
        return self._do(state, "merge", rows, detail, shown)

    def split(
        self,
        state: LabelState,
        rows: NDArray[Any],
        groups: NDArray[Any] | None = None,
        *,
        labels: Sequence[str | None] | None = None,
    ) -> Event:
        """Make new clusters of some images.

        Parameters
        ----------
        state : LabelState
            What the person saw.
        rows : (m,) int or (n,) bool
            The images, from one cluster or several.
        groups : (m,) int, optional
            Which new cluster each goes to, -1 stays where it is; by default all go to one.
        labels : sequence of str or None, optional
            A name for each new cluster, in rising group number.
        """
        chosen = _rows(state, rows)
        parts = np.zeros(len(chosen), np.int64) if groups is None else np.asarray(groups, np.int64)
        if len(parts) != len(chosen):
            raise InputError(f"{len(chosen):,} images need as many groups, not {len(parts):,}.")
        leaves = (parts >= 0) & (state.status[chosen] != LOCKED)
        chosen = self._changeable(state, chosen[leaves], "split")
        numbers, part, counts = np.unique(parts[leaves], return_inverse=True, return_counts=True)
        texts = [None if label is None else clean_label(label) for label in labels or [None] * len(numbers)]
        if len(texts) != len(numbers):
            raise InputError(f"{len(numbers):,} new clusters need as many names, not {len(texts):,}.")
        homes = np.unique(state.cluster[chosen])
        homes = homes[homes >= 0]
        rest = np.setdiff1d(state.rows(*homes.tolist()), chosen)
        if not len(rest) and len(numbers) == 1 and len(homes) == 1:
            raise InputError("That is the whole cluster: nothing would be split off.", "Choose a part of it.")
        chosen = chosen[np.argsort(part, kind="stable")]
        anchors = _sample(rest, ANCHORS)
        detail = {
            "parts": [[text, int(count)] for text, count in zip(texts, counts, strict=True)],
            "creates": len(numbers),
            "clusters": homes.tolist(),
            "rest_scale": len(rest) / max(len(anchors), 1),
        }
        plural = "a new cluster" if len(numbers) == 1 else f"{len(numbers):,} new clusters"
        named = f" -> {texts[0]}" if len(numbers) == 1 and texts[0] else f" split into {plural}"
        return self._do(state, "split", chosen, detail, f"{images(len(chosen))}{named}", anchors)

    def apart(self, state: LabelState, one: int, other: int) -> Event:
        """Remember that two clusters are different things, so that they are not offered for merging again."""
        sides = [_sample(state.rows(cluster), ANCHORS) for cluster in (one, other)]
        if one == other or not all(len(side) for side in sides):
            raise InputError("Two different clusters with images are needed.")
        shown = f"{state.title(one)} and {state.title(other)} are different"
        return self._do(state, "apart", sides[0], {"clusters": [int(one), int(other)]}, shown, sides[1])

    def audit(self, state: LabelState, cluster: int, *, checked: int, wrong: int, confidence: float = 0.95) -> Event:
        """Note that a random sample of a cluster was looked at; its bound goes with the labels into every export."""
        rows = state.rows(cluster)
        if cluster < 0 or not len(rows):
            raise InputError("An audit needs a cluster with images.")
        bound = purity_bound(checked, wrong, population=len(rows), confidence=confidence)
        found = state.find(cluster)
        detail = {
            "clusters": [int(cluster)],
            "checked": int(checked),
            "wrong": int(wrong),
            "confidence": confidence,
            "bound": bound,
            "label": found.name if found else None,
        }
        least = math.floor(bound * 1000) / 10
        shown = f"{checked:,} checked, {wrong:,} wrong: {state.title(cluster)} is at least {least:g}% pure"
        return self._do(state, "audit", rows, detail, shown)

    # -- images ---------------------------------------------------------------------------------

    def label(self, state: LabelState, rows: NDArray[Any], labels: str | Sequence[str | None] | None) -> Event:
        """Label single images where they are (None: no label); one name for all, or one for each."""
        chosen = _rows(state, rows)
        if labels is None or isinstance(labels, str):
            chosen = self._changeable(state, chosen, "label")
            text = None if labels is None else clean_label(labels)
            shown = f"{images(len(chosen))} -> {text}" if text else f"{images(len(chosen))} have no label now"
            return self._label(state, "label", chosen, [(text, len(chosen))], shown)
        if len(labels) != len(chosen):
            raise InputError(f"{len(chosen):,} images need as many labels, not {len(labels):,}.")
        free = state.status[chosen] != LOCKED
        self._changeable(state, chosen, "label")
        cleaned = {label: clean_label(label) for label in set(labels) if label is not None}
        texts = [cleaned[label] if label is not None else None for label in labels]
        chosen, groups = _grouped(chosen[free], [text for text, ok in zip(texts, free, strict=True) if ok])
        told = groups[0][0] if len(groups) == 1 and groups[0][0] else f"{len(groups):,} labels"
        return self._label(state, "label", chosen, groups, f"{images(len(chosen))} -> {told}")

    def confirm(self, state: LabelState, rows: NDArray[Any]) -> Event:
        """Say that these images are right as they are: their label becomes their own and they count as checked."""
        return self._keep(state, rows, "confirm")

    def move(self, state: LabelState, rows: NDArray[Any], to: int | str) -> Event:
        """Move images to a cluster, by number or by name; a name that no cluster has makes a new one."""
        chosen = _rows(state, rows)
        if isinstance(to, str):
            text = clean_label(to)
            target = state.named(text)
            if target is None:
                home = np.unique(state.cluster[chosen])
                whole = len(home) == 1 and home[0] >= 0 and len(state.rows(int(home[0]))) == len(chosen)
                return self.rename(state, int(home[0]), text) if whole else self.split(state, chosen, labels=[text])
            to = target
        if to == UNSORTED:
            return self.reject(state, chosen)
        chosen = self._changeable(state, chosen[state.cluster[chosen] != to], "move")
        found = state.find(to)
        if found is None:
            raise InputError(f"Cluster {to} has no images.", "Choose another cluster or give a new name.")
        anchors = _sample(state.rows(to), ANCHORS)
        detail = {"to": int(to), "label": found.name, "clusters": np.unique(state.cluster[chosen]).tolist()}
        return self._do(state, "move", chosen, detail, f"{images(len(chosen))} -> {state.title(to)}", anchors)

    def reject(self, state: LabelState, rows: NDArray[Any]) -> Event:
        """Set images aside as unsorted: not of their cluster. What is unsorted already is rejected on every run."""
        chosen = self._changeable(state, _rows(state, rows), "reject")
        chosen = chosen[np.argsort(state.cluster[chosen], kind="stable")]
        homes, counts = np.unique(state.cluster[chosen], return_counts=True)
        anchors = [
            _sample(np.setdiff1d(state.rows(home), chosen), REJECT_ANCHORS) if home >= 0 else np.empty(0, np.int64)
            for home in homes.tolist()
        ]
        sources = [
            [home, count, len(side)] for home, count, side in zip(homes.tolist(), counts.tolist(), anchors, strict=True)
        ]
        shown = f"{images(len(chosen))} -> unsorted"
        return self._do(state, "reject", chosen, {"sources": sources}, shown, np.concatenate(anchors))

    def lock(self, state: LabelState, rows: NDArray[Any]) -> Event:
        """Protect images as they are: no action changes them until they are unlocked."""
        return self._keep(state, rows, "lock")

    def unlock(self, state: LabelState, rows: NDArray[Any]) -> Event:
        """Take the protection away."""
        chosen = _rows(state, rows)
        chosen = chosen[state.status[chosen] == LOCKED]
        if not len(chosen):
            raise InputError("None of these images is locked.")
        return self._do(state, "unlock", chosen, {}, f"{images(len(chosen))} unlocked")

    # -- small steps ----------------------------------------------------------------------------

    def _changeable(self, state: LabelState, rows: Rows, verb: str) -> Rows:
        """Return the unlocked rows, refusing when none is left."""
        free = _unlocked(state, rows)
        if not len(free):
            why = "all of them are locked" if len(rows) else "there are none"
            raise InputError(f"No images to {verb}: {why}.", "Unlock them first." if len(rows) else "Select images.")
        return free

    def _keep(self, state: LabelState, rows: NDArray[Any], kind: str) -> Event:
        """Make the labels that the person sees the images' own."""
        chosen = self._changeable(state, _rows(state, rows), kind)
        table: list[str | None] = [*state.label_names, None]
        chosen, groups = _grouped(chosen, [table[code] for code in state.codes[chosen].tolist()])
        return self._label(state, kind, chosen, groups, f"{images(len(chosen))} {kind}ed")

    def _label(
        self,
        state: LabelState,
        kind: str,
        rows: Rows,
        groups: Sequence[tuple[str | None, int]],
        shown: str,
        **context: Any,  # noqa: ANN401 - JSON
    ) -> Event:
        return self._do(state, kind, rows, {"labels": [list(group) for group in groups], **context}, shown)

    def _do(
        self,
        state: LabelState,
        kind: str,
        rows: Rows,
        detail: Mapping[str, Any],
        sentence: str,
        anchors: Rows | None = None,
    ) -> Event:
        """Append one event on the contents of `rows`, then of `anchors`."""
        blob = state.contents[rows].tobytes()
        if anchors is not None and len(anchors):
            blob += state.contents[anchors].tobytes()
            detail = {**detail, "anchors": len(anchors)}
        return self.append(kind, {**detail, "run": state.run, "sentence": sentence}, blob)


def _rows(state: LabelState, rows: NDArray[Any]) -> Rows:
    """Return row numbers from row numbers or a mask, each once, in the order given."""
    chosen = np.asarray(rows)
    if chosen.dtype == bool:
        if len(chosen) != len(state):
            raise InputError(f"A mask needs {len(state):,} entries, not {len(chosen):,}.")
        chosen = np.flatnonzero(chosen)
    if len(chosen) and not (0 <= int(chosen.min()) and int(chosen.max()) < len(state)):
        raise InputError("Some of these images are not in this view any more.", "Reload the page.")
    unique = np.unique(chosen)
    if len(unique) < len(chosen):
        raise InputError("An image was selected twice.")
    return chosen.astype(np.int64)


def _unlocked(state: LabelState, rows: Rows) -> Rows:
    return rows[state.status[rows] != LOCKED]


def _sample(rows: Rows, limit: int) -> Rows:
    """Return at most `limit` of the rows, evenly spread."""
    if len(rows) <= limit:
        return rows
    return rows[np.linspace(0, len(rows) - 1, limit).astype(np.int64)]


def _grouped(rows: Rows, labels: Sequence[str | None]) -> tuple[Rows, list[tuple[str | None, int]]]:
    """Order rows by label; return them and the runs."""
    table: dict[str | None, int] = {}
    codes = np.array([table.setdefault(label, len(table)) for label in labels], np.int64)
    counts = np.bincount(codes, minlength=len(table)).tolist()
    return rows[np.argsort(codes, kind="stable")], list(zip(table, counts, strict=True))
