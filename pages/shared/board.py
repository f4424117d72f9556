"""What Explore, Label and Export work on: one run's images, vectors and the label history replayed over them.

Everything that is large is read once and kept by key for the server; nothing here is edited in place.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from engine.core.workspace import Workspace
from engine.embeddings.configurations import Configuration
from engine.evaluation.scores import silhouette_samples
from engine.geometry.neighbors import NeighborGraph
from engine.geometry.projection import ProjectionSettings, pca_map
from engine.geometry.prototypes import Prototypes, prototypes
from engine.images.datasets import Dataset
from engine.labels.events import LabelHistory
from engine.labels.state import LabelState
from engine.runs.rows import Rows, align, graph_of, kept_map, load_rows
from engine.runs.run import Run
from pages.shared.state import Current
from pages.shared.window import this_window

_SCORED = 20_000  # images whose silhouette makes a cluster's quality bar


@st.cache_resource(show_spinner="Reading the embeddings", max_entries=2)
def _rows(
    _workspace: Workspace, root: str, dataset: str, config_key: str, have: int, scanned: float, sample: str
) -> Rows:
    return load_rows(_workspace, dataset, config_key)


def rows_of(now: Current, configuration: Configuration) -> Rows:
    """Return the images that the person works on and that have a vector in this configuration."""
    assert now.dataset is not None
    return _rows(
        now.workspace,
        str(now.workspace.root),
        now.dataset.id,
        configuration.key,
        configuration.have,
        now.dataset.scanned or 0.0,
        "" if now.sample is None else hashlib.blake2b(now.sample.contents.tobytes()).hexdigest(),
    )


@st.cache_resource(show_spinner="Finding neighbours", max_entries=2)
def _graph(_workspace: Workspace, _rows: Rows, key: str) -> NeighborGraph:
    return graph_of(_workspace, _rows)


def graph_for(now: Current, rows: Rows) -> NeighborGraph:
    """Return the shared neighbour graph."""
    return _graph(now.workspace, rows, rows.embedding.key)


@st.cache_resource(show_spinner=False, max_entries=4)
def _pca(_rows: Rows, key: str) -> NDArray[np.float32]:
    return pca_map(_rows.vectors)


def map_points(now: Current, rows: Rows, settings: ProjectionSettings) -> tuple[NDArray[np.float32], str, bool]:
    """Return (xy, version, final): the wanted map where it is cached, else PCA at once."""
    found = kept_map(now.workspace, rows, settings)
    if found is not None:
        return found, f"{rows.embedding.key}-{settings.key()}", True
    return _pca(rows, rows.embedding.key), f"{rows.embedding.key}-pca", settings.kind == "pca"


@st.cache_resource(show_spinner=False, max_entries=16)
def _history(_workspace: Workspace, root: str, dataset: str) -> LabelHistory:
    return LabelHistory(_workspace, dataset, window=this_window)


def history_of(workspace: Workspace, dataset: Dataset) -> LabelHistory:
    """Return the label history of a data set, opened once for the server."""
    return _history(workspace, str(workspace.root), dataset.id)


@st.cache_resource(show_spinner=False, max_entries=6)
def _base(_run: Run, _rows: Rows, run: str, made: float, key: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Align a run's assignments with today's rows."""
    return align(_run, _rows)


@st.cache_resource(show_spinner=False, max_entries=6)
def _prototypes(_rows: Rows, _labels: NDArray[np.int32], key: str, clusters: str) -> Prototypes:
    return prototypes(_rows.vectors, _labels)


@st.cache_resource(show_spinner=False, max_entries=6)
def _quality(_rows: Rows, _labels: NDArray[np.int32], key: str, clusters: str) -> dict[int, float]:
    chosen = None
    if len(_labels) > _SCORED:
        chosen = np.sort(np.random.default_rng(0).choice(len(_labels), _SCORED, replace=False)).astype(np.int64)
    values = silhouette_samples(_rows.vectors, _labels, rows=chosen)
    labels = _labels if chosen is None else _labels[chosen]
    return {int(cluster): float(np.nanmean(values[labels == cluster])) for cluster in np.unique(labels[labels >= 0])}


@dataclass(frozen=True)
class Board:
    """One run with its labels, ready to draw.

    Attributes
    ----------
    rows : Rows
    run : Run
    confidence : (n,) float32
        The method's own, aligned with `rows`.
    history : LabelHistory
    state : LabelState
        The current labels.
    """

    now: Current
    rows: Rows
    run: Run
    base: NDArray[np.int32]
    confidence: NDArray[np.float32]
    history: LabelHistory
    state: LabelState

    @property
    def version(self) -> str:
        """Names run and labels together."""
        return f"{self.run.folder.name}-{self.rows.embedding.key}-{self.state.version}"

    @cached_property
    def members(self) -> str:
        """Names who is in which cluster of these vectors; a new name for a cluster leaves it as it is."""
        digest = hashlib.blake2b(self.rows.embedding.key.encode(), digest_size=16)
        digest.update(self.state.cluster.tobytes())
        return digest.hexdigest()

    @property
    def prototypes(self) -> Prototypes:
        """The rows that stand for each cluster."""
        return _prototypes(self.rows, self.state.cluster, self.rows.embedding.key, self.members)

    @property
    def quality(self) -> dict[int, float]:
        """Mean silhouette of each cluster."""
        return _quality(self.rows, self.state.cluster, self.rows.embedding.key, self.members)


def open_board(now: Current) -> Board | None:
    """Open the chosen run; None where there is none yet."""
    if now.dataset is None or now.configuration is None or now.run is None:
        return None
    rows = rows_of(now, now.configuration)
    base, confidence = _base(now.run, rows, now.run.folder.name, now.run.created, rows.embedding.key)
    history = history_of(now.workspace, now.dataset)
    state = history.state(rows.contents, base, run=now.run.folder.name)
    return Board(now, rows, now.run, base, confidence, history, state)
