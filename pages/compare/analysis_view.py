"""Analyse: everything one run says about itself, from its folder; useful without truth, and without embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from engine.evaluation.scores import silhouette_samples
from engine.geometry.prototypes import prototypes
from engine.runs.analysis import distribution, kept_analysis, read_analysis
from engine.runs.figures import sizes_figure
from engine.runs.rows import Rows, align
from engine.runs.run import Run
from pages.compare.charts import MOST, heat_map, largest
from pages.compare.made_by_job import made_by_job
from pages.compare.pseudo_label_panel import pseudo_label_panel
from pages.compare.run_map import run_map
from pages.compare.run_rows import rows_for, version_of
from pages.compare.why_panel import explanation_for, why_panel
from pages.shared.charts import draw
from pages.shared.job_view import job_view
from pages.shared.metrics import metrics
from pages.shared.pictures import strip_address
from pages.shared.state import Current, escape
from pages.shared.verdict import verdict_of_run

_LOOKS = 8  # pictures of a cluster
_AT_ONCE = 100_000  # images that are analysed in a few seconds
_SCORED = 20_000  # images whose silhouette is looked at one by one


@st.cache_resource(show_spinner="Analysing", max_entries=8)
def _analysis(_run: Run, _rows: Rows | None, folder: str, version: float, key: str) -> dict[str, Any]:
    return kept_analysis(_run, _rows)


@st.cache_resource(show_spinner="Looking at each cluster", max_entries=4)
def _clusters(_run: Run, _rows: Rows, folder: str, version: float, key: str) -> pd.DataFrame:
    """Return what each cluster looks like and how well it holds together; one line per cluster."""
    labels, _ = align(_run, _rows)
    found = prototypes(_rows.vectors, labels)
    chosen = np.arange(len(labels))
    if len(labels) > _SCORED:
        chosen = np.sort(np.random.default_rng(0).choice(len(labels), _SCORED, replace=False))
    silhouette = pd.Series(silhouette_samples(_rows.vectors, labels, rows=chosen)).groupby(labels[chosen]).mean()
    looks = [_rows.ids[found.rows_of(int(cluster), _LOOKS)].tolist() for cluster in found.clusters]
    return pd.DataFrame(
        {
            "cluster": found.clusters,
            "looks": [strip_address(ids) for ids in looks],
            "silhouette": [silhouette.get(int(cluster)) for cluster in found.clusters],
        }
    )


def analysis_view(now: Current, run: Run) -> None:
    """Draw the analysis of one run."""
    rows = rows_for(now, run)
    key = "" if rows is None else rows.embedding.key
    if rows is not None and len(rows) > _AT_ONCE and read_analysis(run) is None:
        job = made_by_job(now, "analyse", "Analysing", rows, run=str(run.folder), version=version_of(run))
        if job.state != "done":
            st.caption("So many images take a little while to analyse; the result is kept in the run.")
            job_view(job)
            return
    found = _analysis(run, rows, str(run.folder), version_of(run), key)
    if rows is None:
        st.caption("The images or embeddings of this run are not in this workspace: no pictures, map or silhouette.")
    verdict_of_run(now, run)
    for part in ("train", "test"):
        if found[part] is not None:
            _scores(found, part)
    if "accuracy" not in found["train"]:
        st.caption("No truth is known for these images, so there is no accuracy; the figures above need none.")
    if not (run.assignments >= 0).any():
        st.info("Every image is noise: this method put none into a cluster. Try another method or other settings.")
    why = None if rows is None else explanation_for(now, run, rows)
    badges = {} if why is None else {cluster: why.badge(cluster) for cluster in why.clusters}
    _cluster_table(run, rows, found, key, badges)
    if rows is not None:
        why_panel(now, run, rows, why)
    with st.container(key="stack_analysis"):
        left, right = st.columns([3, 2], gap="medium")
    if rows is not None:
        with left:
            run_map(now, run, rows)
    with right:
        _sizes(run)
    if found["classes"] and "contingency" in found:
        with st.container(key="stack_classes"):
            left, right = st.columns([3, 2], gap="medium")
        with left:
            _heat(found)
        with right:
            _per_class(found)
    pseudo_label_panel(now, run, rows)
    for sentence in found["notes"]:
        st.caption(escape(sentence))


def _scores(found: dict[str, Any], part: str) -> None:
    if found["test"] is not None:
        st.markdown(f"##### On the {part} images")
    metrics(found[part] | {name: found[part]["distribution"][name] for name in ("active", "empty", "noise_share")})


def _sizes(run: Run) -> None:
    labels = run.assignments
    if not (labels >= 0).any():
        return
    st.markdown("##### Images in each cluster")
    draw(sizes_figure(labels), "Images in each cluster", height=240)
    metrics(distribution(labels, int(labels.max()) + 1), ("mean", "std", "min", "max", "cv"))


def _cluster_table(run: Run, rows: Rows | None, found: dict[str, Any], key: str, badges: dict[int, str]) -> None:
    """Draw one line per cluster: what it looks like, how large and how tight it is, and which class it holds."""
    labels, confidence = run.assignments, run.predictions["confidence"]
    sizes = np.bincount(labels[labels >= 0])
    table = pd.DataFrame({"cluster": np.flatnonzero(sizes), "images": sizes[sizes > 0]})
    if table.empty:
        return
    table["share"] = 100 * table["images"] / len(labels)
    table["confidence"] = table["cluster"].map(pd.Series(confidence).groupby(labels).mean())
    if rows is not None:
        table = table.merge(_clusters(run, rows, str(run.folder), version_of(run), key), how="left")
    if found.get("per_cluster"):
        table = table.merge(pd.DataFrame(found["per_cluster"])[["cluster", "class", "purity"]], how="left")
        table["class"] = table["class"].fillna("")
    if any(badges.values()):
        table["why"] = [badges.get(int(cluster), "") for cluster in table["cluster"]]
    pictures = rows is not None and rows.dataset.kind != "vectors"
    order = ["cluster", "looks" if pictures else "", "images", "share", "silhouette", "confidence", "class", "purity"]
    order.append("why" if "why" in table else "")
    st.dataframe(
        table.sort_values("images", ascending=False).dropna(axis="columns", how="all"),
        hide_index=True,
        width="stretch",
        row_height=44 if pictures else None,
        column_order=[name for name in order if name],
        column_config={
            "cluster": st.column_config.NumberColumn(width=64),
            "looks": st.column_config.ImageColumn("", width=360, help="Typical images, then unlike ones"),
            "images": st.column_config.NumberColumn(format="localized"),
            "share": st.column_config.NumberColumn(format="%.1f%%", help="Of all images of the run"),
            "silhouette": st.column_config.NumberColumn(
                format="%.3f", help="How much nearer its images are to their own cluster than to the next"
            ),
            "confidence": st.column_config.NumberColumn(format="%.2f", help="The method's own, on average"),
            "class": st.column_config.TextColumn("mostly", help="The most frequent class"),
            "why": st.column_config.TextColumn(help="A measure of the files that tells who is in the cluster"),
            "purity": st.column_config.NumberColumn(format="percent", help="Share of that class in the cluster"),
        },
    )


def _heat(found: dict[str, Any]) -> None:
    table: NDArray[np.int64] = np.asarray(found["contingency"], np.int64)
    if not table.size:
        return
    clusters = largest(table.sum(axis=0))
    mostly = table[:, clusters].argmax(axis=0)
    clusters = clusters[np.argsort(mostly, kind="stable")]
    classes = np.array(list(dict.fromkeys([*mostly, *largest(table.sum(axis=1))]))[:MOST])
    classes.sort()
    st.markdown("##### Clusters against classes")
    heat_map(
        table[np.ix_(classes, clusters)].T,
        table[:, clusters].sum(axis=0),
        [found["classes"][at] for at in classes],
        [f"cluster {at}" for at in clusters],
        "class",
        "cluster",
    )
    if max(table.shape) > MOST:
        st.caption(f"{len(clusters)} of {table.shape[1]:,} clusters and {len(classes)} of {table.shape[0]:,} classes.")


def _per_class(found: dict[str, Any]) -> None:
    table = pd.DataFrame(found["per_class"])
    table["cluster"] = [str(cluster) if cluster >= 0 else "" for cluster in table["cluster"]]
    st.markdown("##### Classes")
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        column_config={
            "size": st.column_config.NumberColumn("images", format="localized"),
            "cluster": st.column_config.TextColumn(help="Matched to the class; empty where clusters ran out"),
            "accuracy": st.column_config.NumberColumn("found", format="percent", help="Share of it in that cluster"),
        },
    )
