"""Labels as a table with one line per file, duplicates included: what the catalog knows of the files, joined with a
clustering and the label history over it. Every export starts from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.csv import path_text
from engine.core.errors import InputError
from engine.core.ids import Ids, pack, positions, to_hex
from engine.core.workspace import Workspace
from engine.images.tables import files_of
from engine.labels.events import LabelHistory
from engine.labels.quality import LabelQuality
from engine.labels.state import LabelState


@dataclass(frozen=True)
class LabelTable:
    """One line per file, in the order of `ImageTable`.

    Attributes
    ----------
    paths : list of bytes
        Inside the data set's source.
    contents : (m,) S16
        Content ids; files with the same bytes have the same.
    rows : (m,) int64
        Row of each file's content in the arrays that the table was made from.
    ids : (m,) int64
        Catalog ids of the files.
    cluster : (m,) int32
        -1 is noise or unsorted.
    cluster_name : list of str or None
        What each line's cluster is called, None while it is unnamed.
    label : list of str or None
    source : list of str
        Who said the label: "by you", "cluster name", "accepted guess", or "none" where there is no label.
    label_probability : (m,) float32
        Of an accepted guess when it was accepted, NaN for every other source.
    cluster_confidence : (m,) float32
        The method's, that the image belongs to its cluster, in [0, 1]; it says nothing about the label.
    status : list of str
        "", "confirmed", "rejected" or "locked".
    audit_bound : (m,) float32
        Purity proven by an audit that still covers the image, NaN without one.
    truth, split : list
        As the catalog has them.
    width, height : (m,) int32
        Pixels, 0 where unknown.
    size : (m,) int64
        Bytes of the file.
    data_ids : (m,) S16
        Ids of the files' bytes now; empty where they are `contents`. See `file_ids`.
    """

    paths: list[bytes]
    contents: Ids
    rows: NDArray[np.int64]
    ids: NDArray[np.int64]
    cluster: NDArray[np.int32]
    cluster_name: list[str | None]
    label: list[str | None]
    source: list[str]
    label_probability: NDArray[np.float32]
    cluster_confidence: NDArray[np.float32]
    status: list[str]
    audit_bound: NDArray[np.float32]
    truth: list[str | None] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    width: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    height: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    size: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    data_ids: Ids = field(default_factory=lambda: np.empty(0, "S16"))

    @property
    def file_ids(self) -> Ids:
        """Ids of the bytes that the files hold now: what a copy of a file, or a table about it, is checked against."""
        return self.data_ids if len(self.data_ids) else self.contents

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, chosen: NDArray[Any] | Sequence[int]) -> LabelTable:
        """Return some lines, by number or mask."""
        wanted = np.asarray(chosen)
        at = np.arange(len(self))[wanted] if wanted.size else np.empty(0, np.int64)
        values: dict[str, Any] = {}
        for name, column in vars(self).items():
            if len(column):  # truth, split and sizes may be left out
                values[name] = column[at] if isinstance(column, np.ndarray) else [column[i] for i in at]
            else:
                values[name] = column
        return LabelTable(**values)

    def quality(self, lines: Sequence[int] | None = None) -> LabelQuality:
        """Return how many labels of some lines, by default all, are by each source, and how many an audit covers."""
        if lines is None:
            return LabelQuality.count(self.source, self.audit_bound)
        return LabelQuality.count([self.source[line] for line in lines], self.audit_bound[list(lines)])

    def columns(self) -> dict[str, Any]:
        """Return the exported columns by name; truth and split only where there are any."""
        table: dict[str, Any] = {
            "path": [path_text(path) for path in self.paths],
            "content_id": to_hex(self.file_ids),
            "cluster": self.cluster,
            "cluster_name": self.cluster_name,
            "label": self.label,
            "label_source": self.source,
            "label_probability": self.label_probability,
            "cluster_confidence": self.cluster_confidence,
            "audit_bound": self.audit_bound,
            "status": self.status,
        }
        if any(truth is not None for truth in self.truth):
            table["truth"] = self.truth
        if any(self.split):
            table["split"] = self.split
        return table


def label_table(
    workspace: Workspace,
    dataset_id: str,
    contents: Ids,
    assignments: NDArray[np.int32],
    confidence: NDArray[np.float32] | None = None,
    *,
    state: LabelState | None = None,
) -> LabelTable:
    """Join files, clustering and labels.

    Parameters
    ----------
    workspace, dataset_id
        Whose files.
    contents : (n,) S16
        The clustered images.
    assignments : (n,) int32
        Their clusters, written as they are unless `state` is given.
    confidence : (n,) float32, optional
        In [0, 1]; NaN where absent.
    state : LabelState, optional
        The labels as the person sees them; its clusters are written. By default the label history is
        replayed over `assignments` for the labels alone.

    Returns
    -------
    LabelTable
        Every file whose content was clustered; unreadable files and files added later are left out.

    Raises
    ------
    InputError
        Arrays of different lengths.
    """
    n = len(contents)
    sure = np.full(n, np.nan, np.float32) if confidence is None else np.asarray(confidence, np.float32)
    if len(assignments) != n or len(sure) != n or (state is not None and len(state) != n):
        raise InputError("Images, clusters, labels and confidences differ in number.", "Run the clustering again.")
    labels = state
    if labels is None:
        labels = LabelHistory(workspace, dataset_id).state(contents, assignments)
    cluster = np.asarray(assignments, np.int32) if state is None else state.cluster
    files = [item for item in files_of(workspace, dataset_id) if item.content is not None and item.failure is None]
    keys = pack([item.content for item in files if item.content is not None])
    rows = positions(contents, keys)
    kept = np.flatnonzero(rows >= 0)
    rows = rows[kept]
    chosen = [files[at] for at in kept.tolist()]
    texts = labels.labels
    named = {item.id: item.name for item in labels.clusters}
    return LabelTable(
        paths=[item.path for item in chosen],
        contents=contents[rows],
        rows=rows,
        ids=np.array([item.id for item in chosen], np.int64),
        cluster=cluster[rows],
        cluster_name=[named.get(at) for at in cluster[rows].tolist()],
        label=[texts[row] for row in rows.tolist()],
        source=[labels.sources[row] for row in rows.tolist()],
        label_probability=labels.probability[rows],
        cluster_confidence=sure[rows],
        status=[labels.statuses[row] for row in rows.tolist()],
        audit_bound=labels.bound[rows],
        truth=[item.truth for item in chosen],
        split=[item.split for item in chosen],
        width=np.array([item.width or 0 for item in chosen], np.int32),
        height=np.array([item.height or 0 for item in chosen], np.int32),
        size=np.array([item.size for item in chosen], np.int64),
        data_ids=pack([item.data_id or b"" for item in chosen]),
    )
