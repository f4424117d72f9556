"""The verb for images that came after a clustering: which fit known clusters, which are of a new kind, what drifts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.core.ids import pack
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.core.workspace import Workspace
from engine.evaluation.novelty import Novelty, judge_new
from engine.jobs.tasks.labels import labels_as_they_stand
from engine.jobs.tasks.requests import RunRequest
from engine.labels.events import LabelHistory
from engine.labels.probability import pack as pack_chances
from engine.labels.state import LOCKED, LabelState
from engine.runs.rows import Rows, load_rows
from engine.runs.run import Run

_NAME = "new images"
_SHOWN = 8  # images of a kind


class NewImagesRequest(RunRequest):
    """Compare images that came after a run with its clusters, as they are after a person's changes."""

    propose: bool = setting(
        True, "Suggest the name of the cluster that an image fits as its label; suggestions wait on Review."
    )


@dataclass(frozen=True)
class Newcomers:
    """What the images that came after a run are.

    Attributes
    ----------
    images : int
    fitting : dict of str to int
        Images by the cluster that they fit, the most first.
    proposed : int
        Labels that wait on Review because of it.
    kinds : list of int
        Images of each new kind.
    members : list of list of int
        Catalog ids of a few images of each new kind.
    alone : int
        Images that fit nothing and are of no kind.
    drifting : list of (str, int)
        Clusters whose new members lie farther from the old ones than chance explains, with the number of new members.
    waiting : int
        Images of the data set that have no vector yet and so were not compared.
    """

    images: int
    fitting: dict[str, int]
    proposed: int
    kinds: list[int]
    members: list[list[int]]
    alone: int
    drifting: list[tuple[str, int]]
    waiting: int

    @property
    def sentences(self) -> list[str]:
        """What there is to say."""
        said = []
        if not self.images:
            said.append("No image came since this clustering was made.")
        else:
            fit, kinds = sum(self.fitting.values()), sum(self.kinds)
            parts = [f"{fit:,} fit known clusters"]
            if kinds:
                parts.append(f"{kinds:,} are of {len(self.kinds):,} new kind{'' if len(self.kinds) == 1 else 's'}")
            if self.alone:
                parts.append(f"{self.alone:,} are like nothing else")
            said.append(f"{self.images:,} new image{'' if self.images == 1 else 's'}: {', '.join(parts)}.")
        if self.proposed:
            said.append(f"{self.proposed:,} label{'' if self.proposed == 1 else 's'} wait on Review.")
        if self.drifting:
            told = ", ".join(f"{title} ({count:,} new)" for title, count in self.drifting)
            said.append(f"New images lie off the old ones in {told}.")
        if self.waiting:
            said.append(f"{self.waiting:,} image{'' if self.waiting == 1 else 's'} must be embedded first.")
        return said


def judge_new_images(workspace: Workspace, request: NewImagesRequest, progress: Progress = SILENT) -> Newcomers:
    """Compare new images with a run's clusters and suggest labels, by one event that can be undone; labels stay.

    An image that has a label by now, or that such a suggestion waits for, is suggested nothing again.

    Raises
    ------
    InputError
        There is no such run, its embeddings are gone, or it has no clusters.
    """
    run = request.opened(workspace)
    rows = load_rows(workspace, run.dataset, str(run.config.get("embedding", {}).get("config_key", "")))
    state = labels_as_they_stand(workspace, run, rows)
    came = ~np.isin(rows.contents, run.contents)
    new, old = np.flatnonzero(came), np.flatnonzero(~came)
    found = judge_new(rows.vectors[old], state.cluster[old], rows.vectors[new], progress=progress) if len(new) else None
    if found is None:
        return Newcomers(0, {}, 0, [], [], 0, [], _waiting(workspace, rows))
    titles = {cluster.id: state.title(cluster.id) for cluster in state.clusters}
    counts = Counter(titles[one] for one in found.cluster[found.cluster >= 0].tolist())
    sizes = np.bincount(found.kind[found.kind >= 0], minlength=found.kinds)
    return Newcomers(
        images=len(new),
        fitting=dict(counts.most_common()),
        proposed=_propose(workspace, run, rows, state, new, found) if request.propose else 0,
        kinds=sizes.tolist(),
        members=[rows.ids[new[found.kind == kind][:_SHOWN]].tolist() for kind in range(found.kinds)],
        alone=found.alone,
        drifting=[(titles[one.cluster], one.new) for one in found.drift if one.drifts],
        waiting=_waiting(workspace, rows),
    )


def _waiting(workspace: Workspace, rows: Rows) -> int:
    """Return how many images that the person works on have no vector in this configuration."""
    from engine.images.sampling import kept_sample
    from engine.images.tables import count_images

    sample = kept_sample(workspace, rows.dataset.id)
    return max(0, (count_images(workspace, rows.dataset.id) if sample is None else len(sample)) - len(rows))


def _propose(
    workspace: Workspace, run: Run, rows: Rows, state: LabelState, new: np.ndarray[Any, Any], found: Novelty
) -> int:
    """Suggest the names of clusters as labels; return for how many images."""
    names = {cluster.id: cluster.name for cluster in state.clusters if cluster.name is not None}
    free = (state.given[new] < 0) & (state.suggested[new] < 0) & (state.status[new] != LOCKED)
    chosen = np.flatnonzero(free & np.isin(found.cluster, list(names)))
    if not len(chosen):
        return 0
    chosen = chosen[np.argsort(found.cluster[chosen], kind="stable")]
    labels, counts = np.unique([names[one] for one in found.cluster[chosen].tolist()], return_counts=True)
    order = np.argsort([labels.tolist().index(names[one]) for one in found.cluster[chosen].tolist()], kind="stable")
    chosen = chosen[order]
    many = f"{len(chosen):,} label{'' if len(chosen) == 1 else 's'}"
    detail = {
        "labels": [[str(label), int(count)] for label, count in zip(labels, counts, strict=True)],
        "from": _NAME,
        "run": run.folder.name,
        "sentence": f"{many} suggested for {_NAME}",
        "probability": pack_chances(found.share[chosen]),
    }
    blob = pack(rows.contents[new[chosen]].tobytes()).tobytes()
    LabelHistory(workspace, rows.dataset.id).append("suggest", detail, blob, version=state.version)
    return len(chosen)


def judge_new_images_summary(found: Newcomers) -> dict[str, Any]:
    """Return the sentences and what they rest on."""
    return {
        "sentences": found.sentences,
        "images": found.images,
        "fitting": found.fitting,
        "proposed": found.proposed,
        "kinds": found.kinds,
        "members": found.members,
        "alone": found.alone,
        "drifting": [list(one) for one in found.drifting],
        "waiting": found.waiting,
    }
