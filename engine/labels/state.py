"""What the label history amounts to on one clustering: a cluster, a label and a status for every image.

`LabelState` is made by `engine.labels.events.LabelHistory.state`; pages draw it, exports write it, and
every action is given it, because an action is about what the person saw.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.core.ids import Ids

PLAIN, CONFIRMED, REJECTED, LOCKED = range(4)
STATUS_NAMES = ("", "confirmed", "rejected", "locked")
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
        0 plain, 1 confirmed, 2 rejected, 3 locked (`STATUS_NAMES`).
    bound : (n,) float32
        Purity proven by an audit of the images that it was among, NaN without one or after its label changed.
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
    """

    contents: Ids
    cluster: NDArray[np.int32]
    codes: NDArray[np.int32]
    given: NDArray[np.int32]
    status: NDArray[np.uint8]
    bound: NDArray[np.float32]
    label_names: tuple[str, ...]
    clusters: list[Cluster]
    conflicts: list[Conflict]
    apart: frozenset[tuple[int, int]]
    run: str
    version: int
    unknown: int

    def __len__(self) -> int:
        return len(self.cluster)

    @cached_property
    def labels(self) -> list[str | None]:
        """The label of every image, None where it has none."""
        return self._texts(self.codes)

    @cached_property
    def given_labels(self) -> list[str | None]:
        """The labels that a person gave to the images themselves: the partial truth of pseudo-labels."""
        return self._texts(self.given)

    @cached_property
    def statuses(self) -> list[str]:
        """The status of every image in words."""
        return [STATUS_NAMES[status] for status in self.status.tolist()]

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
