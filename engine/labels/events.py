"""The label history of a data set: what a person can do to clusters and labels, each action one event.

Actions take the `LabelState` that the person saw and rows of it; they append one event on content ids and return it
with the sentence for the toast. `state` replays the history over any clustering, so a person's work survives every
re-run with another method, encoder or K.

What acts on a group (naming, merging, splitting, a lasso, accepted guesses) leaves the labels that a person gave to
single images as they are, unless it is called with `include_yours=True`; `LabelState.by_you` says beforehand how many
that concerns.
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
from engine.labels.chosen import chosen_rows, grouped, kept_of, order_of, runs_of, sample, unlocked
from engine.labels.conflicts import finish, images
from engine.labels.log import Event, EventLog, clean_label
from engine.labels.probability import pack
from engine.labels.proposals import Proposals, clusters_digest
from engine.labels.replay import Replay, Rows
from engine.labels.sentences import (
    given,
    guesses_other_than,
    keep_theirs,
    leaves_audit,
    only_covers,
    replace_guesses,
    unaudited,
)
from engine.labels.state import LOCKED, PERSONAL, UNSORTED, LabelState

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
    window : function, optional
        As for `EventLog`.
    """

    def __init__(self, workspace: Workspace, dataset_id: str, **options: Any) -> None:  # noqa: ANN401 - the log's own
        super().__init__(workspace, dataset_id, **options)
        self._replays: dict[str, tuple[Replay, LabelState | None]] = {}

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
            replay, state = self._replays.pop(key, (None, None))
            if replay is None:
                replay = Replay(contents.copy(), base.copy(), name)
            if state is None or state.version != version:
                replay.advance(events)
                state = finish(replay, version)
            self._replays[key] = replay, state
            while len(self._replays) > KEPT_REPLAYS:
                del self._replays[next(iter(self._replays))]
            return state

    def kept_state(self, run: str) -> LabelState | None:
        """Return the state of a clustering where it has been worked out and nothing was done since; None otherwise.

        Parameters
        ----------
        run : str
            Name of the clustering.
        """
        with self._lock:
            _, version = self.effective()
            kept = (state for key, (_, state) in self._replays.items() if key.startswith(f"{run}/"))
            return next((state for state in kept if state is not None and state.version == version), None)

    # -- clusters -------------------------------------------------------------------------------

    def rename(self, state: LabelState, cluster: int, label: str | None, *, include_yours: bool = False) -> Event:
        """Name a cluster, or take its name away (None): its images get the label."""
        if cluster < 0:
            raise InputError("Unsorted images have no cluster to name.", "Move them to a cluster, or label them.")
        rows = self._changeable(state, state.rows(cluster), "rename")
        text = None if label is None else clean_label(label)
        kept = 0 if include_yours else state.by_you(rows, text)
        shown = given(len(rows) - kept, text) + keep_theirs(kept, state)
        shown += replace_guesses(guesses_other_than(state, rows, text)) + leaves_audit(state, rows, text)
        groups = [(text, len(rows))]
        return self._label(state, "rename", rows, groups, shown, clusters=[int(cluster)], keeps=not include_yours)

    def name(
        self,
        state: LabelState,
        names: Mapping[int, str],
        *,
        source: str = "",
        made_on: str = "",
        include_yours: bool = False,
    ) -> Event:
        """Name many clusters by one action, as automatic naming does.

        Parameters
        ----------
        state : LabelState
        names : mapping of cluster to name
        source : str
            Who proposed the names.
        made_on : str
            `clusters_digest` of the state that the names were proposed for; they are refused for other clusters.
        include_yours : bool
            Also images that a person labelled one by one.
        """
        if made_on and made_on != clusters_digest(state):
            raise InputError("The clusters have changed since these names were proposed.", "Suggest names again.")
        chosen = {int(cluster): clean_label(label) for cluster, label in names.items()}
        parts = {cluster: unlocked(state, state.rows(cluster)) for cluster in chosen}
        parts = {cluster: rows for cluster, rows in parts.items() if len(rows)}
        if not parts:
            raise InputError("None of these clusters has images that can be named.")
        groups = [(chosen[cluster], len(rows)) for cluster, rows in parts.items()]
        rows = np.concatenate(list(parts.values()))
        kept = 0 if include_yours else sum(state.by_you(part, chosen[cluster]) for cluster, part in parts.items())
        shown = f"{len(parts):,} cluster{'' if len(parts) == 1 else 's'} named, {images(len(rows) - kept)}"
        shown += keep_theirs(kept, state)
        shown += replace_guesses(sum(guesses_other_than(state, part, chosen[at]) for at, part in parts.items()))
        keeps = not include_yours
        return self._label(state, "name", rows, groups, shown, clusters=list(parts), source=source, keeps=keeps)

    def merge(
        self,
        state: LabelState,
        clusters: Sequence[int],
        *,
        into: int | None = None,
        label: str | None = None,
        include_yours: bool = False,
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
        kept = 0 if include_yours or text is None else state.by_you(rows, text)
        shown = f"{len(known):,} clusters merged: {images(len(rows) - kept)} -> {text or f'Cluster {target.id}'}"
        shown += keep_theirs(kept, state) + replace_guesses(
            0 if text is None else guesses_other_than(state, rows, text)
        )
        shown += leaves_audit(state, rows, text, target.id) + only_covers(state, target.id)
        detail = {"clusters": [cluster.id for cluster in known], "into": target.id, "label": text}
        detail["keeps"] = not include_yours
        return self._do(state, "merge", rows, detail, shown)

    def split(
        self,
        state: LabelState,
        rows: NDArray[Any],
        groups: NDArray[Any] | None = None,
        *,
        labels: Sequence[str | None] | None = None,
        as_group: bool = True,
        include_yours: bool = False,
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
        as_group : bool
            Whether the images were chosen together; False when a person picked each, so that the label is theirs.
        include_yours : bool
            Also give the names to images that a person labelled one by one.
        """
        chosen = chosen_rows(state, rows)
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
        anchors = sample(rest, ANCHORS)
        detail = {
            "parts": [[text, int(count)] for text, count in zip(texts, counts, strict=True)],
            "creates": len(numbers),
            "clusters": homes.tolist(),
            "rest_scale": len(rest) / max(len(anchors), 1),
            "by": "group" if as_group else "you",
            "keeps": as_group and not include_yours,
        }
        wanted = zip(texts, np.split(chosen, np.cumsum(counts)[:-1]), strict=True)
        kept = sum(state.by_you(rows, text) for text, rows in wanted) if detail["keeps"] else 0
        plural = "a new cluster" if len(numbers) == 1 else f"{len(numbers):,} new clusters"
        named = f" -> {texts[0]}" if len(numbers) == 1 and texts[0] else f" split into {plural}"
        shown = f"{images(len(chosen))}{named}{keep_theirs(kept, state)}{leaves_audit(state, chosen, None, -2)}"
        return self._do(state, "split", chosen, detail, shown, anchors)

    def apart(self, state: LabelState, one: int, other: int) -> Event:
        """Remember that two clusters are different things, so that they are not offered for merging again."""
        sides = [sample(state.rows(cluster), ANCHORS) for cluster in (one, other)]
        if one == other or not all(len(side) for side in sides):
            raise InputError("Two different clusters with images are needed.")
        shown = f"{state.title(one)} and {state.title(other)} are different"
        sizes = [len(state.rows(cluster)) for cluster in (one, other)]
        detail = {"clusters": [int(one), int(other)], "sizes": sizes}
        return self._do(state, "apart", sides[0], detail, shown, sides[1])

    def audit(
        self,
        state: LabelState,
        cluster: int,
        *,
        shown: NDArray[Any] | Sequence[int],
        wrong: NDArray[Any] | Sequence[int] = (),
        confidence: float = 0.95,
    ) -> Event:
        """Note what a person answered for each image of a random sample; the bound goes with the labels.

        It holds for the images of the cluster that nobody labelled one by one, without those found to be wrong: these
        are set aside and lose the cluster's label.

        Parameters
        ----------
        state : LabelState
        cluster : int
        shown : (m,) int
            Rows of the sample, drawn at random from `LabelState.to_audit`, each answered.
        wrong : (w,) int
            Those of them that do not belong; none when all are right.
        confidence : float
            In (0, 1).

        Raises
        ------
        InputError
            Nothing was shown, an image of another cluster, a wrong one that was not shown.
        """
        seen, bad = chosen_rows(state, np.asarray(shown, np.int64)), chosen_rows(state, np.asarray(wrong, np.int64))
        members = state.rows(cluster) if cluster >= 0 else np.empty(0, np.int64)
        if not len(members):
            raise InputError("An audit needs a cluster with images.")
        if not len(seen):
            raise InputError("No image was shown, so nothing was audited.", "Answer for each image of the sample.")
        if not (np.isin(seen, members).all() and np.isin(bad, seen).all()):
            raise InputError("The answers are not about images that were shown of this cluster.", "Audit it again.")
        covered = state.to_audit(cluster)
        seen, bad = seen[np.isin(seen, covered)], bad[np.isin(bad, covered)]
        if not len(seen):
            raise InputError("You labelled each of these images yourself, so there is nothing to audit.")
        bound = purity_bound(len(seen), len(bad), population=len(covered), confidence=confidence)
        most_wrong = round((1 - bound) * len(covered))
        found = state.find(cluster)
        detail = {
            "clusters": [int(cluster)],
            "checked": len(seen),
            "wrong": len(bad),
            "confidence": confidence,
            "bound": bound,
            "most_wrong": most_wrong,
            "label": found.name if found else None,
        }
        rest = 1 - max(most_wrong - len(bad), 0) / max(len(covered) - len(bad), 1)
        least = math.floor((rest if len(bad) else bound) * 1000 + 1e-9) / 10
        told = f"{len(seen):,} checked, {len(bad):,} wrong: {state.title(cluster)} is at least {least:g}% pure"
        if len(bad):
            told += f" without {'it' if len(bad) == 1 else 'them'}; set aside"
        mine = len(members) - len(covered)
        if mine:
            told += f", {images(mine)} labelled by you not counted"
        answers = np.concatenate([bad, np.setdiff1d(seen, bad)])
        return self._do(state, "audit", covered, detail, told, answers)

    # -- images ---------------------------------------------------------------------------------

    def label(
        self,
        state: LabelState,
        rows: NDArray[Any],
        labels: str | Sequence[str | None] | None,
        *,
        as_group: bool = False,
        include_yours: bool = False,
    ) -> Event:
        """Label images where they are (None: no label); one name for all, or one for each.

        With `as_group` they were chosen together (a lasso, all of a filter) and not looked at one by one: then the
        source of the label is a name for a group, and what a person labelled keeps its label unless `include_yours`.
        """
        chosen = chosen_rows(state, rows)
        how = {"by": "group", "keeps": not include_yours} if as_group else {"by": "you"}
        keeps = as_group and not include_yours
        if labels is None or isinstance(labels, str):
            chosen = self._changeable(state, chosen, "label")
            text = None if labels is None else clean_label(labels)
            kept = kept_of(state, chosen, text) if keeps else 0
            shown = given(len(chosen) - kept, text) + keep_theirs(kept, state)
            shown += leaves_audit(state, chosen, text) if as_group else unaudited(state, chosen)
            return self._label(state, "label", chosen, [(text, len(chosen))], shown, **how)
        if len(labels) != len(chosen):
            raise InputError(f"{len(chosen):,} images need as many labels, not {len(labels):,}.")
        free = state.status[chosen] != LOCKED
        self._changeable(state, chosen, "label")
        cleaned = {label: clean_label(label) for label in set(labels) if label is not None}
        texts = [cleaned[label] if label is not None else None for label in labels]
        chosen, groups = grouped(chosen[free], [text for text, ok in zip(texts, free, strict=True) if ok])
        kept = state.by_you(chosen) if keeps else 0
        told = groups[0][0] if len(groups) == 1 and groups[0][0] else f"{len(groups):,} labels"
        shown = f"{images(len(chosen) - kept)} -> {told}{keep_theirs(kept, state)}"
        return self._label(state, "label", chosen, groups, shown, **how)

    def accept(
        self, state: LabelState, proposals: Proposals, at: NDArray[Any] | None = None, *, looked_at: bool = False
    ) -> Event:
        """Give images the label that is proposed to each; the event keeps the probability of this moment.

        Parameters
        ----------
        state : LabelState
            The one that the proposals were opened with.
        proposals : Proposals
            From `open_proposals`.
        at : (m,) int or (p,) bool, optional
            Which of the proposals; by default all.
        looked_at : bool
            A person picked these images one by one: then the label is by the person, else an accepted guess.

        Raises
        ------
        InputError
            The labels have changed since the proposals were made, or none of the images can take one.
        """
        if proposals.stale or proposals.seen != state.version:
            raise InputError("The labels have changed since these were proposed.", "Spread the labels again.")
        which = np.arange(len(proposals)) if at is None else np.asarray(at)
        which = np.flatnonzero(which) if which.dtype == bool else which.astype(np.int64)
        rows = chosen_rows(state, proposals.rows[which])
        free = (state.status[rows] != LOCKED) & (~np.isin(state.source[rows], PERSONAL) | looked_at)
        if not free.any():
            raise InputError("None of these images can take a proposed label.", "Choose others.")
        which, rows = which[free], rows[free]
        names = [proposals.names[place] for place in which.tolist()]
        order = order_of(names)
        rows, groups = rows[order], runs_of(names)
        told = groups[0][0] if len(groups) == 1 else f"{len(groups):,} labels"
        shown = f"{images(len(rows))} -> {told}" + ("" if looked_at else ", accepted without a look")
        detail = {
            "by": "you" if looked_at else "guess",
            "keeps": not looked_at,
            "origin": proposals.origin,
            "made_from": proposals.version,
            "probability": pack(proposals.probability[which[order]]),
        }
        return self._label(state, "label", rows, groups, shown, unchanged=True, **detail)

    def confirm(self, state: LabelState, rows: NDArray[Any]) -> Event:
        """Say that these images, each looked at, are right as they are: their label is by the person now."""
        return self._keep(state, rows, "confirm")

    def move(
        self,
        state: LabelState,
        rows: NDArray[Any],
        to: int | str,
        *,
        as_group: bool = False,
        include_yours: bool = False,
    ) -> Event:
        """Move images to a cluster, by number or by name; a name that no cluster has makes a new one.

        Their label, the cluster's name, is by the person who picked them; with `as_group` they were chosen together
        and not looked at one by one, and what a person labelled keeps its label unless `include_yours`.
        """
        chosen = chosen_rows(state, rows)
        if isinstance(to, str):
            text = clean_label(to)
            target = state.named(text)
            if target is None:
                home = np.unique(state.cluster[chosen])
                whole = len(home) == 1 and home[0] >= 0 and len(state.rows(int(home[0]))) == len(chosen)
                if whole:
                    return self.rename(state, int(home[0]), text, include_yours=include_yours)
                return self.split(state, chosen, labels=[text], as_group=as_group, include_yours=include_yours)
            to = target
        if to == UNSORTED:
            return self.reject(state, chosen, as_group=as_group, include_yours=include_yours)
        chosen = self._changeable(state, chosen[state.cluster[chosen] != to], "move")
        found = state.find(to)
        if found is None:
            raise InputError(f"Cluster {to} has no images.", "Choose another cluster or give a new name.")
        anchors = sample(state.rows(to), ANCHORS)
        detail = {"to": int(to), "label": found.name, "clusters": np.unique(state.cluster[chosen]).tolist()}
        detail |= {"by": "group" if as_group else "you", "keeps": as_group and not include_yours}
        kept = kept_of(state, chosen, found.name) if detail["keeps"] else 0
        shown = f"{images(len(chosen) - kept)} -> {state.title(to)}{keep_theirs(kept, state)}"
        shown += leaves_audit(state, chosen, found.name, to) + only_covers(state, to)
        return self._do(state, "move", chosen, detail, shown, anchors)

    def reject(
        self, state: LabelState, rows: NDArray[Any], *, as_group: bool = False, include_yours: bool = False
    ) -> Event:
        """Set images aside as unsorted: not of their cluster. What is unsorted already is rejected on every run.

        With `as_group` images that a person labelled stay where they are, unless `include_yours`.
        """
        chosen = self._changeable(state, chosen_rows(state, rows), "reject")
        keeps = as_group and not include_yours
        kept = kept_of(state, chosen) if keeps else 0
        if keeps:
            chosen = chosen[~np.isin(state.source[chosen], PERSONAL)]
        chosen = chosen[np.argsort(state.cluster[chosen], kind="stable")]
        homes, counts = np.unique(state.cluster[chosen], return_counts=True)
        anchors = [
            sample(np.setdiff1d(state.rows(home), chosen), REJECT_ANCHORS) if home >= 0 else np.empty(0, np.int64)
            for home in homes.tolist()
        ]
        sources = [
            [home, count, len(side)] for home, count, side in zip(homes.tolist(), counts.tolist(), anchors, strict=True)
        ]
        shown = (
            f"{images(len(chosen))} -> unsorted{keep_theirs(kept, state)}{leaves_audit(state, chosen, None, UNSORTED)}"
        )
        detail = {"sources": sources, "keeps": keeps}
        return self._do(state, "reject", chosen, detail, shown, np.concatenate(anchors))

    def lock(self, state: LabelState, rows: NDArray[Any]) -> Event:
        """Protect images as they are: no action changes them until they are unlocked."""
        return self._keep(state, rows, "lock")

    def unlock(self, state: LabelState, rows: NDArray[Any]) -> Event:
        """Take the protection away."""
        chosen = chosen_rows(state, rows)
        chosen = chosen[state.status[chosen] == LOCKED]
        if not len(chosen):
            raise InputError("None of these images is locked.")
        return self._do(state, "unlock", chosen, {}, f"{images(len(chosen))} unlocked")

    # -- small steps ----------------------------------------------------------------------------

    def _changeable(self, state: LabelState, rows: Rows, verb: str) -> Rows:
        """Return the unlocked rows, refusing when none is left."""
        free = unlocked(state, rows)
        if not len(free):
            why = "all of them are locked" if len(rows) else "there are none"
            raise InputError(f"No images to {verb}: {why}.", "Unlock them first." if len(rows) else "Select images.")
        return free

    def _keep(self, state: LabelState, rows: NDArray[Any], kind: str) -> Event:
        """Make the labels that the person sees the images' own."""
        chosen = self._changeable(state, chosen_rows(state, rows), kind)
        table: list[str | None] = [*state.label_names, None]
        chosen, groups = grouped(chosen, [table[code] for code in state.codes[chosen].tolist()])
        shown = f"{images(len(chosen))} {kind}ed{unaudited(state, chosen) if kind == 'confirm' else ''}"
        return self._label(state, kind, chosen, groups, shown, keeps=kind == "lock")

    def _label(
        self,
        state: LabelState,
        kind: str,
        rows: Rows,
        groups: Sequence[tuple[str | None, int]],
        shown: str,
        *,
        unchanged: bool = False,
        **context: Any,  # noqa: ANN401 - JSON
    ) -> Event:
        detail = {"labels": [list(group) for group in groups], **context}
        return self._do(state, kind, rows, detail, shown, unchanged=unchanged)

    def _do(
        self,
        state: LabelState,
        kind: str,
        rows: Rows,
        detail: Mapping[str, Any],
        sentence: str,
        anchors: Rows | None = None,
        *,
        unchanged: bool = False,
    ) -> Event:
        """Append one event on the contents of `rows`, then of `anchors`; `unchanged`: only if the log is as seen."""
        blob = state.contents[rows].tobytes()
        if anchors is not None and len(anchors):
            blob += state.contents[anchors].tobytes()
            detail = {**detail, "anchors": len(anchors)}
        detail = {**detail, "run": state.run, "sentence": sentence}
        return self.append(kind, detail, blob, version=state.version if unchanged else None)
