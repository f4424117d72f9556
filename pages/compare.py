"""Compare: look closely at one clustering, or lay two beside each other and see where they disagree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from engine.evaluation import ari, contingency, match, nmi, per_class, per_cluster
from engine.rows import Rows, align, truth_codes
from engine.runs import Run
from pages.shared.board import rows_of
from pages.shared.frame import first_do, heading
from pages.shared.pictures import strip
from pages.shared.state import Current, current, escape
from pages.shared.words import count

_MOST = 40  # clusters a heat map shows on each side
_METRICS = {
    "n_clusters": "clusters",
    "silhouette": "silhouette",
    "balance": "balance",
    "composite": "composite",
    "largest_share": "largest share",
    "noise_share": "set aside",
    "accuracy": "accuracy",
    "random_accuracy": "accuracy of random labels",
    "nmi": "NMI",
    "ari": "ARI",
}


def _table(runs: list[Run]) -> None:
    rows = [
        {"": words, **{f"{at + 1}: {run.name}": run.results["train"].get(name) for at, run in enumerate(runs)}}
        for name, words in _METRICS.items()
    ]
    frame = pd.DataFrame(rows)
    st.dataframe(frame, hide_index=True, width="stretch")
    references = runs[0].results.get("references")
    if references:
        words = [
            f"{name.replace('_', ' + ')}: silhouette {found['silhouette']:.3f}"
            + (f", accuracy {found['accuracy']:.0%}" if found.get("accuracy") is not None else "")
            for name, found in references.items()
        ]
        st.caption("On the same embeddings: " + "; ".join(words))


def _heat(table: NDArray[np.int64], x: list[str], y: list[str], title_x: str, title_y: str) -> None:
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = go.Figure(
        go.Heatmap(
            z=share,
            x=x,
            y=y,
            customdata=table,
            colorscale="Blues",
            showscale=False,
            hovertemplate="%{y} / %{x}: %{customdata:,} images (%{z:.0%})<extra></extra>",
        )  # fmt: skip
    )
    figure.update_layout(
        height=max(260, 22 * len(y) + 80),
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        xaxis_title=title_x,
        yaxis_title=title_y,
    )
    figure.update_yaxes(autorange="reversed")
    st.plotly_chart(figure, width="stretch", config={"displayModeBar": False}, alt=f"{title_y} against {title_x}")


def _largest(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    sizes = np.bincount(labels[labels >= 0])
    return np.argsort(-sizes, kind="stable")[: min(_MOST, int((sizes > 0).sum()))]


def _two(rows: Rows, first: Run, second: Run) -> None:
    one, _ = align(first, rows)
    two, _ = align(second, rows)
    both = (one >= 0) & (two >= 0)
    if not both.any():
        st.info("The two clusterings have no images in common that both sorted.")
        return
    left, right, _ = st.columns([1, 1, 3])
    left.metric("ARI", f"{ari(one[both], two[both]):.3f}", help="1: the same groups; 0: no more alike than chance")
    right.metric("NMI", f"{nmi(one[both], two[both]):.3f}", help="1: one tells the other; 0: nothing shared")
    pairs = match(one[both], two[both])  # cluster of the second -> cluster of the first
    ys = _largest(one)
    partner = {mine: theirs for theirs, mine in pairs.items()}
    used = [partner[int(y)] for y in ys if int(y) in partner]
    xs = np.array([*used, *(int(x) for x in _largest(two) if int(x) not in used)][:_MOST])
    table = contingency(one, two)[np.ix_(ys, xs)]
    st.markdown("##### Where the images went", help="Each row is a cluster of the first, each column one of the second")
    _heat(table, [f"cluster {x}" for x in xs], [f"cluster {y}" for y in ys], "second", "first")
    mapped = np.array([pairs.get(int(label), -1) for label in two])
    differ = np.flatnonzero(both & (mapped != one))
    st.markdown(f"##### {count(len(differ), 'image')} sorted differently")
    if len(differ) and rows.dataset.kind != "vectors":
        step = max(1, len(differ) // 96)
        strip(rows.ids[differ[::step][:96]], size=64)


def _one(rows: Rows, run: Run) -> None:
    labels, _ = align(run, rows)
    truth = truth_codes(rows.truth)
    if truth is None:
        st.caption("No truth is known for these images, so there is no accuracy; the scores above need none.")
        return
    names = sorted({name for name in rows.truth if name is not None})
    ys = _largest(labels)
    table = contingency(truth, labels)[:, ys].T
    st.markdown("##### Clusters against classes")
    _heat(table, names, [f"cluster {y}" for y in ys], "class", "cluster")
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("##### Per class")
        found = pd.DataFrame(per_class(truth, labels))
        found["class"] = [names[int(code)] for code in found["class"]]
        st.dataframe(found, hide_index=True, width="stretch")
    with right:
        st.markdown("##### Per cluster")
        st.dataframe(pd.DataFrame(per_cluster(truth, labels)), hide_index=True, width="stretch")


def _choose(now: Current) -> list[Run]:
    names = [run.folder.name for run in now.runs]
    shown = {run.folder.name: run.name for run in now.runs}
    left, right = st.columns(2)
    first = left.selectbox(
        "First", names, index=names.index(now.run.folder.name) if now.run else 0, format_func=lambda key: shown[key]
    )
    second = right.selectbox("Second", names, index=None, placeholder="none", format_func=lambda key: shown[key])
    chosen = [first] + ([second] if second and second != first else [])
    return [run for name in chosen for run in now.runs if run.folder.name == name]


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Compare", "Look closely at one clustering, or lay two beside each other.")
    if now.configuration is None or not now.runs:
        first_do(now, "Keep a clustering first.", "pages/cluster.py", "Cluster")
        return
    runs = _choose(now)
    _table(runs)
    rows = rows_of(now, now.configuration)
    if len(runs) == 2:
        _two(rows, runs[0], runs[1])
    else:
        _one(rows, runs[0])
    for sentence in runs[0].results.get("notes", []):
        st.caption(escape(sentence))


page()
