"""The ways to label that are compared: the guided one, one by one, and one name for each k-means cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.ids import Ids
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import Vectors
from engine.core.workspace import Workspace
from engine.geometry.neighbors import NeighborGraph
from engine.labels.log import Event
from engine.labels.simulate.desk import Count, Desk, scratch_history
from engine.labels.simulate.measure import Curve, Judge, typed_names
from engine.labels.simulate.person import Person, commonest
from engine.labels.simulate.policy import Guided
from engine.labels.state import LabelState

GUIDED, ONE_BY_ONE, BY_CLUSTER = "guided", "one by one", "k-means, one name a cluster"
STEPS = 50  # points of the curve of one by one


class SimulateSettings(Settings):
    """Who labels, and how often."""

    error_rate: float = setting(0.0, "Chance that the person takes an image for another class.", ge=0.0, le=0.5)
    seeds: int = setting(1, "How many persons, each with another seed.", ge=1, le=100)
    clicks: int = setting(1_000_000, "They stop after so many clicks.", ge=1)
    baselines: bool = setting(True, "Also label one by one, and by one name for each k-means cluster.")


@dataclass(frozen=True)
class Labelling:
    """What one person did in one way.

    Attributes
    ----------
    way : str
        `GUIDED`, `ONE_BY_ONE` or `BY_CLUSTER`.
    seed : int
    curve : Curve
    count : Count
        Clicks by kind, letters typed.
    conflicts : list of str
        Where images are labelled otherwise than their cluster, in words.
    contradictions : int
        Images to which the person gave one label and later another.
    events : list of Event
        What was written.
    state : LabelState
        The labels at the end.
    """

    way: str
    seed: int
    curve: Curve
    count: Count
    conflicts: list[str]
    contradictions: int
    events: list[Event]
    state: LabelState


def simulate(
    contents: Ids,
    vectors: Vectors,
    graph: NeighborGraph,
    base: NDArray[np.int32],
    truth: Sequence[str | None],
    *,
    settings: SimulateSettings | None = None,
    first_seed: int = 0,
    progress: Progress = SILENT,
) -> list[Labelling]:
    """Let simulated persons label a clustering in a history of their own; nothing is written elsewhere.

    Parameters
    ----------
    contents : (n,) S16
        Distinct images.
    vectors : (n, d) float32
    graph : NeighborGraph
        Of the vectors.
    base : (n,) int32
        The clustering that the guided person begins with, -1 for noise.
    truth : sequence of str or None
        The class of each image, None where it is not known: nobody can tell there, and it counts for nothing.
    settings : SimulateSettings, optional
    first_seed : int
        Seed of the first person; the following ones count up from it.

    Raises
    ------
    InputError
        No truth at all.
    """
    chosen = settings or SimulateSettings()
    typed = typed_names(truth)
    classes = len({name for name in typed if name is not None})
    ways = [GUIDED, ONE_BY_ONE, BY_CLUSTER] if chosen.baselines else [GUIDED]
    found = []
    for seed in range(first_seed, first_seed + chosen.seeds):
        for at, way in enumerate(ways):
            person = Person(typed, error_rate=chosen.error_rate, random_state=seed)
            start = base if way == GUIDED else _clusters(vectors, classes if way == BY_CLUSTER else 1, seed)
            with tempfile.TemporaryDirectory(prefix="kindred-simulate-") as folder:
                history = scratch_history(Workspace.open(Path(folder)))
                judge = Judge(typed)
                desk = Desk(history, contents, vectors, graph, start, after=judge)
                if way == GUIDED:
                    Guided(desk, person, most_clicks=chosen.clicks, progress=progress).run()
                elif way == ONE_BY_ONE:
                    _one_by_one(desk, person, judge, chosen.clicks, seed)
                else:
                    _by_cluster(desk, person, chosen.clicks)
                events, state = history.events(), desk.state
            found.append(
                Labelling(
                    way,
                    seed,
                    judge.curve,
                    desk.count,
                    [conflict.sentence for conflict in state.conflicts],
                    contradictions(events, contents),
                    events,
                    state,
                )
            )
            progress.update(
                (seed - first_seed) * len(ways) + at + 1, chosen.seeds * len(ways), phase="Label", unit="ways"
            )
    return found


def contradictions(events: Sequence[Event], contents: Ids) -> int:
    """Return how many images got one label by a person and later another, each image looked at both times.

    Parameters
    ----------
    events : sequence of Event
    contents : (n,) S16
    """
    said: dict[bytes, str | None] = {}
    contradicted: set[bytes] = set()
    for event in events:
        if event.kind not in ("label", "confirm") or event.detail.get("by", "you") != "you":
            continue
        labels = [label for label, count in event.detail["labels"] for _ in range(count)]
        for content, label in zip(event.contents.tolist(), labels, strict=True):
            if said.setdefault(content, label) != label:
                contradicted.add(content)
            said[content] = label
    return len(contradicted)


def _clusters(vectors: Vectors, count: int, seed: int) -> NDArray[np.int32]:
    from engine.clustering.kmeans import KMeans, KMeansSettings

    settings = KMeansSettings(n_clusters=min(count, len(vectors)), random_state=seed)
    return KMeans(settings).fit(vectors).labels_.astype(np.int32)


def _one_by_one(desk: Desk, person: Person, judge: Judge, most: int, seed: int) -> None:
    """Label one image after the other in any order: one click each, the next image follows by itself."""
    order = np.random.default_rng(seed).permutation(len(desk.contents))
    answers = person.look(order)
    order, answers = order[answers >= 0][:most], answers[answers >= 0][:most]
    for part in np.array_split(np.arange(len(order)), min(STEPS, len(order)) or 1):
        if len(part):
            names = [person.names[kind] for kind in answers[part]]
            desk.decide(len(part), len(part))
            for name in dict.fromkeys(names):
                desk.typed(name)
            desk.press("tick", len(part))
            desk.history.label(desk.state, order[part], names)
            judge(desk.state, desk.count)


def _by_cluster(desk: Desk, person: Person, most: int) -> None:
    """Name each cluster, the largest first, by what most of eight images of it are."""
    for cluster in sorted(desk.state.clusters, key=lambda one: (-one.size, one.id)):
        if desk.count.clicks >= most:
            return
        shown = desk.prototypes.rows_of(cluster.id, 8)
        wanted = commonest(person.look(shown))
        desk.shown = cluster.id  # it follows by itself
        desk.decide(len(shown))
        if wanted >= 0:
            desk.name(cluster.id, person.names[wanted])
