"""Proposals for labels and names, and whether they still hold for the labels as they are now.

Labels spread over the neighbour graph become a `Spread`, kept as spread.npz; `open_proposals` lays it over the
current state and returns exactly the images that can be labelled by it: those that nobody looked at and that have no
label or, with their cluster, another name. A proposal knows what it was made from: when
those labels change, by undo or by new ones, it is stale and offers nothing until it is made anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.files import load_arrays, save_arrays
from engine.core.ids import Ids, positions
from engine.core.progress import SILENT, Progress
from engine.geometry.neighbors import NeighborGraph
from engine.labels.calibration import calibrate
from engine.labels.propagation import PropagationSettings, propagate
from engine.labels.state import ACCEPTED_GUESS, CLUSTER_NAME, LOCKED, PERSONAL, LabelState

QUICK = 200_000  # images times labels that spread, with the check of their chances, in about a second on two cores


@dataclass(frozen=True)
class Spread:
    """Labels proposed to images by their neighbours.

    Attributes
    ----------
    contents : (n,) S16
        The images.
    labels : (n,) int32
        Index into `names`: the label that spread where `given`, else the proposed one, -1 where there is none.
    confidence, margin : (n,) float32
        Chance in [0, 1] that the label is right, and the lead over the second of the walks that end there. Where
        nothing could be checked, the share of the walks in place of the chance.
    given : (n,) bool
        Where the label is one of those that spread; empty where an older Kindred did not write it down.
    presumed : (n,) int32
        Index into `names` of the cluster's name where nobody looked at the image, else -1; empty in an older file.
    names : tuple of str
    version : int
        `EventLog.version` of the labels that were spread; -1 where it is not known.
    run : str
        The clustering that they were read on.
    checked, right : int
        Images with a label of a person's that were hidden to check the chances, and how many of them were proposed
        that label; 0 where there were too few.
    """

    contents: Ids
    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    margin: NDArray[np.float32]
    names: tuple[str, ...]
    given: NDArray[np.bool_]
    presumed: NDArray[np.int32]
    version: int = -1
    run: str = ""
    checked: int = 0
    right: int = 0

    def save(self, path: Path) -> None:
        """Write the file, atomically."""
        values = {**vars(self), "names": np.array(self.names, np.str_)}
        save_arrays(path, **{name: np.asarray(value) for name, value in values.items()})

    @classmethod
    def read(cls, path: Path) -> Spread:
        """Read what `save` wrote, or an older spread.npz, which is stale."""
        found: dict[str, Any] = load_arrays(path, hint="Spread the labels again.")
        for name in ("version", "run", "checked", "right"):
            if name in found:
                found[name] = found[name].item()
        found.setdefault("given", np.empty(0, bool))
        found.setdefault("presumed", np.empty(0, np.int32))
        found["names"] = tuple(found["names"].tolist())
        return cls(**found)


@dataclass(frozen=True)
class Proposals:
    """Labels that can be accepted now, each for one image.

    Attributes
    ----------
    rows : (m,) int64
        Rows of the state; empty when the proposals are stale.
    names : list of str
        The label proposed to each.
    probability, margin : (m,) float32
        Chance of that label in [0, 1], and its lead over the second.
    origin : str
        Who proposes: "propagation", "zero-shot", "import".
    version : int
        `EventLog.version` that the proposals were made from.
    seen : int
        Version of the state that they were opened with.
    stale : bool
        The labels that they were made from have changed.
    checked, right : int
        Hidden images that the chances were checked on, and those that came out right; 0 where nothing was checked.
    """

    rows: NDArray[np.int64]
    names: list[str]
    probability: NDArray[np.float32]
    margin: NDArray[np.float32]
    origin: str
    version: int
    seen: int
    stale: bool = False
    checked: int = 0
    right: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def at_least(self, probability: float) -> NDArray[np.int64]:
        """Return the proposals that are at least so sure: what `LabelHistory.accept` takes."""
        return np.flatnonzero(self.probability >= probability)


def seeds(state: LabelState) -> NDArray[np.int32]:
    """Return (n,) the labels that spread: those that a person gave to the very image, also imported; -1 elsewhere.

    Accepted guesses do not spread again, so that a guess never becomes surer by being accepted.
    """
    return np.where(np.isin(state.source, PERSONAL), state.given, -1).astype(np.int32)


def presumed(state: LabelState) -> NDArray[np.int32]:
    """Return (n,) the cluster's name for the images that nobody looked at, -1 elsewhere: it spreads less far."""
    return np.where(state.source == CLUSTER_NAME, state.codes, -1).astype(np.int32)


def _presumed_unseen(state: LabelState) -> NDArray[np.int32]:
    """Return (n,) the cluster's name for every image, as if nobody had looked at it; -1 where there is none."""
    codes = {name: code for code, name in enumerate(state.label_names)}
    named = {item.id: codes[item.name] for item in state.clusters if item.name in codes}
    table = np.full(int(state.cluster.max(initial=-1)) + 2, -1, np.int32)  # the last is for what is in no cluster
    for cluster, code in named.items():
        table[cluster] = code
    return np.where(np.isin(state.source, PERSONAL), table[state.cluster], presumed(state)).astype(np.int32)


def clusters_digest(state: LabelState) -> str:
    """Return a hash of which image is in which cluster: what proposed names were made on."""
    digest = hashlib.blake2b(state.contents.tobytes(), digest_size=16)
    digest.update(state.cluster.tobytes())
    return digest.hexdigest()


def spread(
    graph: NeighborGraph,
    state: LabelState,
    *,
    settings: PropagationSettings | None = None,
    progress: Progress = SILENT,
) -> Spread:
    """Spread the labels of a state over the neighbour graph of the same images.

    Raises
    ------
    InputError
        No image has a label, or the graph is of other images.
    """
    likely, yours = presumed(state), seeds(state)
    found = propagate(graph, yours, presumed=likely, settings=settings, progress=progress)
    chance = calibrate(graph, yours, presumed=_presumed_unseen(state), settings=settings, progress=progress)
    confidence = found.confidence
    if chance is not None:
        confidence = np.where(found.given | (found.labels < 0), confidence, chance(found.margin))
    return Spread(
        state.contents,
        found.labels,
        confidence,
        found.margin,
        state.label_names,
        found.given,
        likely,
        state.version,
        state.run,
        0 if chance is None else chance.checked,
        0 if chance is None else chance.right,
    )


def spreads_quickly(state: LabelState) -> bool:
    """Return whether spreading takes under two seconds, so that it needs no job."""
    spreading = np.maximum(seeds(state), presumed(state))
    return len(spreading) * max(len(np.unique(spreading[spreading >= 0])), 8) <= QUICK


def is_stale(state: LabelState, made: Spread) -> bool:
    """Return whether the labels that were spread are others by now: undone, changed, or new ones came.

    A label that agrees with what was proposed to its image leaves the other proposals as they are.
    """
    if made.version == state.version and made.run == state.run:
        return False
    if not (len(made.given) and len(made.presumed)):
        return True
    table = _codes_in(made, state)
    now, likely = table[seeds(state)], table[presumed(state)]
    place = positions(made.contents, state.contents)
    known = place >= 0
    was, spread_then = made.labels[place[known]], made.given[place[known]]
    changed = (now[known] != was) & (spread_then | (now[known] != -1))
    settled = np.isin(state.source[known], (*PERSONAL, ACCEPTED_GUESS))
    renamed = (likely[known] != made.presumed[place[known]]) & ~settled
    return bool(changed.any() or renamed.any() or (now[~known] != -1).any() or (likely[~known] != -1).any())


def _codes_in(made: Spread, state: LabelState) -> NDArray[np.int64]:
    """Return the place in `made.names` of each of the state's labels, -2 for a new one; the last entry is for none."""
    numbers = {name: code for code, name in enumerate(made.names)}
    return np.array([*(numbers.get(name, -2) for name in state.label_names), -1], np.int64)


def open_proposals(state: LabelState, made: Spread) -> Proposals:
    """Return the proposals for images that nobody looked at and that are not locked; none when stale.

    They concern images without a label, and those whose cluster has another name than what is proposed.
    """
    stale = is_stale(state, made)
    if stale:
        rows, at = np.empty(0, np.int64), np.empty(0, np.int64)
    else:
        place = positions(made.contents, state.contents)
        open_now = (state.given < 0) | (state.source == CLUSTER_NAME)
        rows = np.flatnonzero((place >= 0) & open_now & (state.status != LOCKED))
        proposed, has = made.labels[place[rows]], _codes_in(made, state)[state.codes[rows]]
        rows = rows[(proposed >= 0) & (proposed != has)]
        at = place[rows]
    names = [made.names[code] for code in made.labels[at].tolist()]
    return Proposals(
        rows,
        names,
        made.confidence[at],
        made.margin[at],
        "propagation",
        made.version,
        state.version,
        stale,
        made.checked,
        made.right,
    )


def open_suggestions(state: LabelState) -> Proposals:
    """Return what imports suggest for the images that nobody looked at and that are not locked.

    They concern images without a label, and those whose cluster has another name. The chance is what the file said,
    NaN where it said none. They are of the labels as they are now, so they are never stale.
    """
    open_now = (state.given < 0) | (state.source == CLUSTER_NAME)
    waiting = open_now & (state.suggested >= 0) & (state.status != LOCKED) & (state.suggested != state.codes)
    rows = np.flatnonzero(waiting)
    names = [state.label_names[code] for code in state.suggested[rows].tolist()]
    chance = state.suggested_chance[rows]
    return Proposals(rows, names, chance, np.nan_to_num(chance), "import", state.version, state.version)
