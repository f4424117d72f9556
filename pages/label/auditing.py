"""The audit of a cluster: an answer for each image of a random sample gives an exact bound on the cluster's purity."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.gallery.face import GalleryPane, clear_gallery, gallery_seen
from components.workbench.protocol import AuditMessage
from engine.images.sources import shown as readable
from engine.labels.audit import audit_sample, purity_bound
from engine.labels.state import Cluster
from pages.shared.actions import carry_out
from pages.shared.board import Board
from pages.shared.state import settle
from pages.shared.words import count

_AUDITED = 59  # with none wrong: at least 95% pure at 95% confidence


def _key(board: Board, cluster: Cluster) -> str:
    return f"audit_{board.run.folder.name}_{cluster.id}"


def audited(board: Board, cluster: Cluster) -> bool:
    """Return whether the cluster is being audited now."""
    return bool(st.session_state.get(_key(board, cluster)))


def switch_audit(board: Board, cluster: Cluster, on: bool, *, gallery: str) -> None:
    """Begin or end the audit of a cluster in a gallery."""
    settle(lambda: st.session_state.update({_key(board, cluster): on}))
    clear_gallery(gallery)


def _sample(board: Board, cluster: Cluster) -> tuple[NDArray[np.int64], int]:
    """Return the images to answer for, others after each audit, and among how many they were drawn."""
    rows = board.state.to_audit(cluster.id)
    return audit_sample(rows, min(_AUDITED, len(rows)), random_state=_audits(board)), len(rows)


def _version(board: Board, cluster: Cluster, population: int) -> str:
    return f"audit-{board.run.folder.name}-{board.rows.embedding.key}-{cluster.id}-{population}-{_audits(board)}"


def _audits(board: Board) -> int:
    """Return how many audits there were."""
    return sum(event.kind == "audit" for event in board.history.effective()[0])


def audit_gallery(board: Board, cluster: Cluster) -> GalleryPane:
    """Return the gallery of the sample; what is selected in it is wrong."""
    sample, population = _sample(board, cluster)
    return GalleryPane(
        ids=board.rows.ids[sample],
        version=_version(board, cluster, population),
        captions=lambda at: [readable(board.rows.paths[row]) for row in sample[at]],
        keys={},
        buttons={},
        hints={"Click": "this one is wrong", "Enter": "look closer"},
        ticking=True,
        want_seen=True,
        label="Images of the sample",
        heading="Which do not belong here?",
    )


def audit_message(board: Board, cluster: Cluster, *, gallery: str) -> AuditMessage:
    """Return what an audit has proven, or while one is under way the bound for each number of wrong images."""
    bounds = board.state.bound[board.state.rows(cluster.id)]
    words = ""
    if sealed := int(np.isfinite(bounds).sum()):
        part = "" if sealed == len(bounds) else f", for {sealed:,} of {count(len(bounds), 'image')}"
        words = f"At least {np.nanmin(bounds):.0%} right, with 95% confidence{part}"
    if not audited(board, cluster):
        return {"words": words, "open": False, "sample": 0, "bounds": [], "seen": False}
    sample, population = _sample(board, cluster)
    return {
        "words": words,
        "open": True,
        "sample": len(sample),
        "bounds": [
            round(purity_bound(len(sample), wrong, population=population), 4) for wrong in range(len(sample) + 1)
        ],
        "seen": gallery_seen(gallery, _version(board, cluster, population)),
    }


def keep_audit(board: Board, cluster: Cluster, wrong_ids: NDArray[np.int32], *, gallery: str) -> None:
    """Keep the answers as an event and go back to the cluster; nothing where not every image was on the screen."""
    sample, population = _sample(board, cluster)
    if not gallery_seen(gallery, _version(board, cluster, population)):
        return
    wrong = sample[np.isin(board.rows.ids[sample], wrong_ids)]
    if carry_out(lambda: board.history.audit(board.state, cluster.id, shown=sample, wrong=wrong)):
        switch_audit(board, cluster, False, gallery=gallery)
