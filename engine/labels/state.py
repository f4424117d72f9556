"""What the label history amounts to on one clustering: a cluster, a label, its source and a status for every image.

`LabelState` is made by `engine.labels.events.LabelHistory.state`; pages draw it, exports write it, and
every action is given it, because an action is about what the person saw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.ids import Ids

PLAIN, CONFIRMED, REJECTED, LOCKED = range(4)
STATUS_NAMES = ("", "confirmed", "rejected", "locked")
NO_LABEL, BY_YOU, CLUSTER_NAME, ACCEPTED_GUESS, IMPORTED = range(5)
SOURCE_NAMES = ("none", "by you", "cluster name", "accepted guess", "imported")
PERSONAL = (BY_YOU, IMPORTED)  # given to the very image by a person, here or where the label was imported from
UNSORTED = -1


@dataclass(frozen=True)
class Cluster:
    """One row of the cluster list.

    Attributes
    ----------
    id : int
        Its number in this state; those of the base clustering keep theirs, split-off ones follow.
    name : str or None
        The label held by more than half of its images through naming; None while unnamed.
    size : int
        Images in it.
    origin : str
        "clustering", "merged" or "split": where it comes from.
    confirmed, locked : int
        Images that a person looked at one by one, and those that no action changes.
    """

    id: int
    name: str | None
    size: int
    origin: str
    confirmed: int
    locked: int


@dataclass(frozen=True)
class Conflict:
    """Where the person's work and this clustering disagree.

    Attributes
    ----------
    kind : str
        "label": images labelled otherwise than their cluster's name. "scattered": images that got one name lie in
        several clusters now. "merge": clusters that were merged are apart again. "apart": images that were split, or
        declared different, share a cluster. "target": the cluster that images were moved to is not in this clustering.
    sentence : str
        For the person.
    rows : (m,) int64
        The images concerned.
    clusters : tuple of int
        The clusters concerned.
    label : str or None
        The label concerned.
    """

    kind: str
    sentence: str
    rows: NDArray[np.int64] = field(compare=False)
    clusters: tuple[int, ...] = ()
    label: str | None = None


@dataclass(frozen=True, eq=False)
class LabelState:
    """The replayed history over one clustering; arrays are read-only and aligned with `contents`.

    Attributes
    ----------
    contents : (n,) S16
        The images, in the order given.
    cluster : (n,) int32
        Current cluster, -1 is unsorted (the method's noise, and what was rejected).
    codes, given : (n,) int32
        Index into `label_names`, -1 for none. `given` holds only what a person gave to that very image, singly or by
        naming its cluster; `codes` also holds the name of the cluster for images that came to it later.
    status : (n,) uint8
        0 plain, 1 confirmed (a person looked at it), 2 rejected, 3 locked (`STATUS_NAMES`).
    source : (n,) uint8
        Who said the label (`SOURCE_NAMES`): 0 no label, 1 a person who looked at the image, 2 the name of a group of
        images that were not looked at one by one, 3 a guess that a person accepted without looking, 4 a file that was
        imported.
    probability : (n,) float32
        Of an accepted guess when it was accepted, NaN for every other source.
    bound : (n,) float32
        Purity proven by an audit for the images that it still covers: those whose cluster and label are what was
        audited and which nobody labelled since. NaN without one, and for what a person labelled.
    label_names : tuple of str
        Every label name in the history.
    clusters : list of Cluster
        Clusters that have images, by id.
    conflicts : list of Conflict
        Empty on the clustering that the events were made on, unless a label was given against the cluster's name.
    apart : set of (int, int)
        Pairs of clusters that a person called different; low id first.
    run : str
        Name of the base clustering.
    version : int
        The last event seen, see `EventLog.version`.
    unknown : int
        Images in the history that this data set does not hold (any more).
    suggested : (n,) int32
        Index into `label_names` of the label that an import suggests, -1 for none; also where the image has it by now.
    suggested_chance : (n,) float32
        How sure the file said it is, in [0, 1]; NaN where it did not.
    """

    contents: Ids
    cluster: NDArray[np.int32]
    codes: NDArray[np.int32]
    given: NDArray[np.int32]
    status: NDArray[np.uint8]
    source: NDArray[np.uint8]
    probability: NDArray[np.float32]
    bound: NDArray[np.float32]
    label_names: tuple[str, ...]
    clusters: list[Cluster]
    conflicts: list[Conflict]
    apart: frozenset[tuple[int, int]]
    run: str
    version: int
    unknown: int
    suggested: NDArray[np.int32]
    suggested_chance: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.cluster)

    @cached_property
    def labels(self) -> list[str | None]:
        """The label of every image, None where it has none."""
        return self._texts(self.codes)

    def label_of(self, row: int) -> str | None:
        """Return the label of one image, None where it has none."""
        return self.label_names[self.codes[row]] if self.codes[row] >= 0 else None

    @cached_property
    def given_labels(self) -> list[str | None]:
        """The labels that a person gave to the images themselves: the partial truth of pseudo-labels."""
        return self._texts(self.given)

    @cached_property
    def statuses(self) -> list[str]:
        """The status of every image in words."""
        return [STATUS_NAMES[status] for status in self.status.tolist()]

    @cached_property
    def sources(self) -> list[str]:
        """The source of every image's label in words."""
        return [SOURCE_NAMES[source] for source in self.source.tolist()]

    @cached_property
    def source_counts(self) -> dict[str, int]:
        """How many images have a label by each source, "none" last; "imported" only where there is one."""
        counts = np.bincount(self.source, minlength=len(SOURCE_NAMES)).tolist()
        order = (BY_YOU, CLUSTER_NAME, ACCEPTED_GUESS, *((IMPORTED,) if counts[IMPORTED] else ()), NO_LABEL)
        return {SOURCE_NAMES[source]: counts[source] for source in order}

    def by_you(self, rows: NDArray[Any], label: str | None = None) -> int:
        """Return how many of `rows` have a label by a person, imported ones too, which a group action leaves as it is.

        Parameters
        ----------
        rows : (m,) int or (n,) bool
        label : str, optional
            What the group would be called: images that a person called so already are not counted.
        """
        mine = np.isin(self.source[rows], PERSONAL)
        if label is not None and label in self.label_names:
            mine &= self.given[rows] != self.label_names.index(label)
        return int(np.count_nonzero(mine))

    @cached_property
    def audited(self) -> bool:
        """Whether an audit covers any image."""
        return bool(np.isfinite(self.bound).any())

    def to_audit(self, cluster: int) -> NDArray[np.int64]:
        """Return the images of a cluster that an audit is about: those that nobody labelled one by one."""
        rows = self.rows(cluster)
        return rows[self.source[rows] != BY_YOU]

    @cached_property
    def _by_id(self) -> dict[int, Cluster]:
        return {cluster.id: cluster for cluster in self.clusters}

    def find(self, cluster: int) -> Cluster | None:
        """Return a cluster by id, None when it has no images."""
        return self._by_id.get(int(cluster))

    def title(self, cluster: int) -> str:
        """Return what to call a cluster: its name, else "Cluster 7", else "Unsorted"."""
        found = self.find(cluster)
        if cluster == UNSORTED:
            return "Unsorted"
        return found.name if found and found.name else f"Cluster {cluster}"

    def rows(self, *clusters: int) -> NDArray[np.int64]:
        """Return the images of some clusters, rising."""
        order, places = self._members
        parts = [order[slice(*places[cluster])] for cluster in set(clusters) if cluster in places]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)

    @cached_property
    def _members(self) -> tuple[NDArray[np.int64], dict[int, tuple[int, int]]]:
        """The images in the order of their clusters, and where each cluster's stand."""
        order = np.argsort(self.cluster, kind="stable")
        found, starts, counts = np.unique(self.cluster[order], return_index=True, return_counts=True)
        return order, dict(
            zip(found.tolist(), zip(starts.tolist(), (starts + counts).tolist(), strict=True), strict=True)
        )

    def named(self, label: str) -> int | None:
        """Return the largest cluster called `label`, None when no cluster is."""
        found = [cluster for cluster in self.clusters if cluster.name == label]
        return max(found, key=lambda cluster: (cluster.size, -cluster.id)).id if found else None

    def same(self, other: LabelState) -> bool:
        """Return whether two states say the same about every image and cluster, whatever the version."""
        return (
            np.array_equal(self.contents, other.contents)
            and np.array_equal(self.cluster, other.cluster)
            and np.array_equal(self.status, other.status)
            and np.array_equal(self.source, other.source)
            and np.array_equal(self.probability, other.probability, equal_nan=True)
            and np.array_equal(self.bound, other.bound, equal_nan=True)
            and self.labels == other.labels
            and self.given_labels == other.given_labels
            and self.clusters == other.clusters
            and self.apart == other.apart
            and self.conflicts == other.conflicts
        )

    def _texts(self, codes: NDArray[np.int32]) -> list[str | None]:
        table: list[str | None] = [*self.label_names, None]
        return [table[code] for code in codes.tolist()]
