"""The verb that takes a nuisance out of a run's vectors and clusters what is left by the same method."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.registry import METHODS
from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.embeddings.nuisance import derived_store, extend_derived, nuisance_directions
from engine.embeddings.store import EmbeddingStore
from engine.evaluation.agreement import nmi
from engine.evaluation.explanation import binned, grouped
from engine.jobs.tasks.clustering import ClusterRequest, cluster_images
from engine.jobs.tasks.labels import labels_as_they_stand
from engine.jobs.tasks.requests import RunRequest
from engine.labels.state import LabelState
from engine.runs.explained import measures_of
from engine.runs.rows import Rows, align, graph_of, load_rows, rows_of_run, truth_codes
from engine.runs.run import Run

_REMOVED = 0.05  # adjusted mutual information below which a nuisance counts as gone


class RemoveNuisanceRequest(RunRequest):
    """Take a measure, or the difference of two groups, out of a run's vectors, and cluster again."""

    measure: str = setting("", "What is taken out: a measure that `explain` names, such as aspect ratio.")
    groups: tuple[str, ...] = setting(
        (), "In place of a measure, two labels or cluster numbers: what tells their images apart is taken out."
    )


@dataclass(frozen=True)
class Removed:
    """What a removal did.

    Attributes
    ----------
    what : str
    config_key : str
        The new embeddings; the old ones stay.
    run, before_run : str
        The new run and the one it was made of.
    directions : int
    before, after : float
        Adjusted mutual information of nuisance and clusters, of the images whose group is known.
    classes_before, classes_after : float or None
        Normalised mutual information of classes and clusters, where the truth is known.
    """

    what: str
    config_key: str
    run: str
    before_run: str
    directions: int
    before: float
    after: float
    classes_before: float | None
    classes_after: float | None

    @property
    def sentence(self) -> str:
        """What changed, in a sentence or two."""
        how = "gone from" if self.after < _REMOVED else "weaker in" if self.after < self.before else "still in"
        name, figures = self.what[:1].upper() + self.what[1:], f"{self.before:.3f} before, {self.after:.3f} now"
        said = f"{name} is {how} the clusters (adjusted mutual information {figures})."
        if self.classes_before is None or self.classes_after is None:
            return said
        figures = f"{self.classes_before:.3f} before, {self.classes_after:.3f} now"
        return f"{said} Agreement with the classes (NMI): {figures}."


def remove_nuisance(workspace: Workspace, request: RemoveNuisanceRequest, progress: Progress = SILENT) -> Removed:
    """Make embeddings without a nuisance beside the old ones, their neighbours, and a run by the same method.

    A method that reads no single table of vectors is replaced by k-means with as many clusters.

    Raises
    ------
    InputError
        No such measure or group, groups without images, or the embeddings are gone.
    """
    run = request.opened(workspace)
    rows = rows_of_run(workspace, run)
    state = labels_as_they_stand(workspace, run, rows)
    what, groups = _groups(workspace, request, rows, state)
    source_key = rows.embedding.config_key
    progress.update(0, 1, phase="Finding directions")
    directions = nuisance_directions(rows.vectors, groups)
    source = EmbeddingStore(workspace.embeddings(source_key))
    store = derived_store(workspace, source_key, what, directions)
    extend_derived(store, source, source.keys(), progress=progress)
    made = load_rows(workspace, run.dataset, store.folder.name, only=rows.contents)
    graph_of(workspace, made, progress=progress)
    new = cluster_images(workspace, _same_method(run, store.folder.name, what, progress), progress)
    before, after = _agreement(run, rows, groups), _agreement(new, rows, groups)
    truth = truth_codes(rows.truth)
    classes = [None if truth is None else nmi(truth, align(one, rows)[0]) for one in (run, new)]
    found = Removed(
        what,
        store.folder.name,
        new.folder.name,
        run.folder.name,
        len(directions),
        before,
        after,
        classes[0],
        classes[1],
    )
    progress.say(found.sentence)
    return found


def remove_nuisance_summary(found: Removed) -> dict[str, Any]:
    """Return what changed, the two runs and the new embeddings."""
    return asdict(found) | {"sentence": found.sentence}


def _groups(
    workspace: Workspace, request: RemoveNuisanceRequest, rows: Rows, state: LabelState
) -> tuple[str, NDArray[np.int64]]:
    """Return what is taken out in words, and the group of each row, -1 where it is in none."""
    if bool(request.measure) == bool(request.groups):
        raise InputError("Nothing was named to take out.", "Name a measure, or two groups of images.")
    if request.groups:
        return _two_groups(request.groups, state)
    numbers, words = measures_of(workspace, rows)
    if request.measure in numbers:
        values = numbers[request.measure]
        return request.measure, np.where(np.isfinite(values), binned(values), -1)
    if request.measure in words:
        return request.measure, grouped(words[request.measure])
    known = ", ".join([*numbers, *words]) or "none"
    raise InputError(f"There is no measure {request.measure!r} of these images.", f"Known: {known}.")


def _two_groups(names: tuple[str, ...], state: LabelState) -> tuple[str, NDArray[np.int64]]:
    if len(names) != 2 or names[0] == names[1]:
        raise InputError("Two different groups are needed.", "Name two labels, or two cluster numbers.")
    groups, titles = np.full(len(state), -1, np.int64), []
    for number, name in enumerate(names):
        if name in state.label_names:
            inside = state.codes == state.label_names.index(name)
        elif name.isdecimal() and state.find(int(name)) is not None:
            inside = state.cluster == int(name)
        else:
            known = ", ".join([*state.label_names, *(str(one.id) for one in state.clusters)][:20])
            raise InputError(f"There is no label or cluster {name!r}.", f"There are {known}.")
        if not inside.any():
            raise InputError(f"No image has the label {name!r} now.", "Choose a group that has images.")
        groups[inside] = number
        titles.append(f"cluster {name}" if name not in state.label_names else name)
    if not (groups == 0).any():
        raise InputError("The two groups hold the same images.", "Choose groups that differ.")
    return f"the difference of {titles[0]} and {titles[1]}", groups


def _same_method(run: Run, config_key: str, what: str, progress: Progress) -> ClusterRequest:
    """Return the request that made a run, on other vectors."""
    clusters = len(np.unique(run.assignments[run.assignments >= 0]))
    title = f"{run.name}, without {what}"
    entry = METHODS.get(run.method)
    if entry is None or entry.takes in ("images", "spaces"):
        progress.say(f"This run's method does not read one table of vectors, so k-means makes {clusters:,} clusters.")
        values: dict[str, Any] = {"method": "kmeans", "settings": {"n_clusters": max(clusters, 1)}}
    else:
        kept = ("method", "settings", "given", "format", "test_fraction")
        values = {name: run.config[name] for name in kept if name in run.config}
        values["given"] = sorted({*values.get("given", ()), *({"n_clusters"} & set(values.get("settings", {})))})
    return ClusterRequest.from_config(values | {"dataset": run.dataset, "config_key": config_key, "title": title})


def _agreement(run: Run, rows: Rows, groups: NDArray[np.int64]) -> float:
    """Return the adjusted mutual information of a run's clusters and groups, of the rows that are in one."""
    from sklearn.metrics import adjusted_mutual_info_score

    known = groups >= 0
    return float(adjusted_mutual_info_score(groups[known], align(run, rows)[0][known]))
