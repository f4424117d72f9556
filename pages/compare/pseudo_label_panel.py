"""Pseudo-labels of a run: the images nearest to each centre vote, the files are written, the mapping is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from engine.core.errors import KindredError
from engine.export.pseudo_labels import read_pseudo_labels
from engine.labels.events import LabelHistory
from engine.labels.pseudo_labels import PseudoLabelSettings
from engine.runs.rows import Rows, align
from engine.runs.run import Run
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.downloads import Download, downloads
from pages.shared.job_view import job_view
from pages.shared.metrics import facts
from pages.shared.state import Current, show_error
from pages.shared.tasks import newest, start_job

_FROM = {"person": "your labels", "truth": "the known classes"}


def pseudo_label_panel(now: Current, run: Run, rows: Rows | None) -> None:
    """Draw the settings with their button, and what was made last."""
    st.markdown(
        "##### Pseudo-labels",
        help="Each cluster takes the label that most images near its centre have, and gives it to all its images",
    )
    if rows is not None:
        _make(now, run, rows)
    made = sorted((run.folder / "pseudo_labels").glob("pseudo_labels_k*.json"), key=lambda path: path.stat().st_mtime)
    if made:
        _show(made[-1])
    elif rows is None:
        st.caption("None were made, and without the embeddings the clusters cannot vote.")


def _make(now: Current, run: Run, rows: Rows) -> None:
    job = newest(now.workspace, "pseudo-label", rows.dataset, run=str(run.folder))
    if job_view(job):
        return
    history = LabelHistory(now.workspace, rows.dataset.id)
    known = (run.folder.name, rows.embedding.key, history.version())
    if not any(rows.truth) and not _labelled(history, run, rows, *known):
        st.info(
            "No image has a label yet. Label a few images of each cluster, or name the clusters; then they can vote."
        )
        st.page_link(
            "pages/label/page.py",
            label="Label",
            icon=":material/arrow_forward:",
            query_params=now.parameters | {"run": run.folder.name},
        )
        return
    skip = (
        {"visualize_mapping"}
        if rows.dataset.kind != "vectors"
        else set(PseudoLabelSettings.model_fields) - {"k_samples"}
    )
    with st.container(border=True):
        try:
            settings = forms.draw(PseudoLabelSettings, key="pseudo", columns=3, skip=skip)
        except KindredError as error:
            show_error(error)
            return
        if pressed("Make pseudo-labels", icon=":material/how_to_vote:"):
            start_job(
                now.workspace,
                "pseudo-label",
                "Making pseudo-labels",
                rows.dataset,
                run=str(run.folder),
                settings=settings.model_dump(mode="json"),
            )
            st.rerun()


@st.cache_resource(show_spinner=False, max_entries=8)
def _labelled(_history: LabelHistory, _run: Run, _rows: Rows, run: str, rows: str, version: int) -> bool:
    """Whether a person gave any image a label."""
    labels, _ = align(_run, _rows)
    return bool((_history.state(_rows.contents, labels, run=run).given >= 0).any())


def _show(path: Path) -> None:
    """Show what was made: shares, the mapping of clusters to labels, its picture, the files."""
    try:
        found = read_pseudo_labels(path)
    except KindredError as error:
        show_error(error)
        return
    source = _FROM.get(str(found.get("labels_from")), "labels")
    st.caption(
        f"{found.get('k', '')} voters from each cluster, by {source}. The files lie in the run's pseudo_labels folder."
    )
    covered = found.get("coverage", {})
    where = {part: f", {part}" if len(covered) > 1 else "" for part in ("train", "test")}
    right = {part: share for part, share in found.get("accuracy", {}).items() if share is not None}
    facts(
        [("labelled" + where[part], f"{share:.1%}", "Share that got a label") for part, share in covered.items()]
        + [
            ("right" + where[part], f"{share:.1%}", "Of the labelled images whose class is known")
            for part, share in right.items()
        ]
    )
    with st.container(key="stack_pseudo"):
        left, aside = st.columns(2, gap="medium")
    with left:
        _mapping(found)
        _downloads(path)
    picture = path.with_name(f"cluster_mapping_k{found.get('k')}.png")
    if picture.exists():
        aside.image(str(picture), caption="Green: the class is the cluster's label. Red: it is another.")


def _mapping(found: dict[str, Any]) -> None:
    table = pd.DataFrame(found["clusters"])
    table["pseudo_label_name"] = table["pseudo_label_name"].fillna("")
    table["confidence"] = table["confidence"].astype(float).fillna(0.0)
    st.dataframe(
        table.dropna(axis="columns", how="all"),
        hide_index=True,
        width="stretch",
        column_order=[
            "cluster_id",
            "pseudo_label_name",
            "cluster_size",
            "confidence",
            "known_voters",
            "cluster_accuracy",
        ],
        column_config={
            "cluster_id": st.column_config.NumberColumn("cluster", width=64),
            "pseudo_label_name": st.column_config.TextColumn("label", help="Empty where no voter's label is known"),
            "cluster_size": st.column_config.NumberColumn("images", format="localized"),
            "confidence": st.column_config.NumberColumn(
                format="percent", help="The winner's share of the voters whose label is known"
            ),
            "known_voters": st.column_config.NumberColumn("voters", help="Voters whose label is known"),
            "cluster_accuracy": st.column_config.NumberColumn(
                "right", format="percent", help="Share of its images whose class is that label"
            ),
        },
    )


def _downloads(path: Path) -> None:
    suffix = path.stem.removeprefix("pseudo_labels")
    files = [path, *sorted(path.parent.glob(f"*{suffix}.csv"))]
    downloads(path.parent.parent.name, [Download(file.name, file.name, file.read_bytes) for file in files])
