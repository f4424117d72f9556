"""Consensus: what several runs keep together, what they dispute, and what that says about the number of clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from components.gallery.face import gallery
from engine.evaluation.consensus import Consensus, consensus
from engine.geometry.neighbors import kept_graph
from engine.geometry.prototypes import prototypes
from engine.images.sources import shown
from engine.jobs.tasks.consensus import ConsensusRequest, combine_runs
from engine.runs.rows import Rows, align
from engine.runs.run import Run
from pages.compare.charts import likeness_map
from pages.compare.made_by_job import made_by_job
from pages.compare.run_rows import version_of
from pages.shared.actions import pressed
from pages.shared.board import graph_for, rows_of
from pages.shared.job_view import job_view
from pages.shared.metrics import facts
from pages.shared.pictures import strip_address
from pages.shared.run_names import names_of_runs
from pages.shared.state import Current, choose, escape
from pages.shared.tasks import newest, start_job
from pages.shared.words import count

_LOOKS = 8
_GROUPS = 200  # settled groups that are listed
_SETTLED = ((0.8, "Settled."), (0.4, "Partly settled."), (0.0, "Disputed."))
_LISTED = 500
_AT_ONCE = 10_000  # images whose neighbours are found in a moment


@st.cache_resource(show_spinner="Comparing the runs", max_entries=4)
def _consensus(
    _now: Current, _rows: Rows, _runs: list[Run], chosen: tuple[tuple[str, float], ...], key: str
) -> tuple[Consensus, NDArray[np.int32]]:
    """Return the consensus and the label columns, (R, n)."""
    labels = np.stack([align(run, _rows)[0] for run in _runs])
    return consensus(list(labels), graph_for(_now, _rows)), labels


@st.cache_resource(show_spinner=False, max_entries=4)
def _looks(
    _rows: Rows, _groups: NDArray[np.int32], chosen: tuple[tuple[str, float], ...], key: str
) -> dict[int, list[int]]:
    largest = np.where(_groups < _GROUPS, _groups, -1)
    found = prototypes(_rows.vectors, largest)
    return {int(group): _rows.ids[found.rows_of(int(group), _LOOKS)].tolist() for group in found.clusters}


def consensus_view(now: Current) -> None:
    """Let the person choose runs and draw what they have in common."""
    names = names_of_runs(now.runs)
    wanted = st.multiselect(
        "Runs",
        list(names),
        default=list(names)[:5],
        format_func=names.__getitem__,
        key="consensus_runs",
        help="Two or more; their numbers of clusters may differ",
    )
    runs = [run for run in now.runs if run.folder.name in wanted]
    if len(runs) < 2 or now.configuration is None:
        st.info(
            "Choose at least two runs. Make more on the Cluster page: another method, or another number of clusters."
        )
        st.page_link(
            "pages/cluster/page.py", label="Cluster", icon=":material/arrow_back:", query_params=now.parameters
        )
        return
    rows = rows_of(now, now.configuration)
    if len(rows) > _AT_ONCE and kept_graph(now.workspace, rows.embedding.key, len(rows)) is None:
        job = made_by_job(now, "graph", "Finding neighbours", rows)
        if job.state != "done":
            st.caption("A consensus looks at the neighbours of each image; they are being found.")
            job_view(job)
            return
    chosen = tuple((run.folder.name, version_of(run)) for run in runs)
    found, labels = _consensus(now, rows, runs, chosen, rows.embedding.key)
    border = found.border()
    groups = int(found.groups.max(initial=-1)) + 1
    st.markdown(_verdict(found.settled_share, len(runs)))
    facts(
        (
            (
                "settled",
                f"{found.settled_share:.1%}",
                "Images that are noise in no run and whose nearest neighbours the runs sort alike",
            ),
            ("settled groups", f"{groups:,}", "Sets of settled images that every run keeps together"),
            ("contested", f"{len(border):,}", "Images at the border, or noise in one of the runs"),
        )
    )
    _combine(now, rows, runs)
    with st.container(key="stack_settled"):
        left, right = st.columns([1, 1], gap="medium")
    with left:
        if groups:
            _core(rows, found, chosen)
    with right:
        _border(rows, runs, found, labels, border, f"{hash(chosen)}-{rows.embedding.key}")
    _runs(runs, [names[run.folder.name] for run in runs], found, labels)


def _verdict(settled: float, runs: int) -> str:
    """Return in a sentence what the runs have in common, in Markdown."""
    word = next(word for least, word in _SETTLED if settled >= least)
    who = "Both runs" if runs == 2 else f"All {runs} runs"
    return f"**{word}** {who} sort {settled:.0%} of the images alike; look through the others first."


def _combine(now: Current, rows: Rows, runs: list[Run]) -> None:
    """Offer to make one run out of all; a large data set's is made by a job."""
    names = [run.folder.name for run in runs]
    job = newest(now.workspace, "consensus", rows.dataset, runs=names)
    if job_view(job):
        return
    if job is not None and job.state == "done":
        st.caption("One run was made of these. It stands among the runs on Cluster.")
    if not pressed(
        "Make one run of all",
        icon=":material/merge:",
        type="primary",
        help="Each run votes on each image, weighted by how well a classifier learns its clusters",
    ):
        return
    if len(rows) > _AT_ONCE:
        start_job(now.workspace, "consensus", "Combining runs", rows.dataset, runs=names)
        st.rerun()
    with st.spinner("Combining the runs"):
        made = combine_runs(now.workspace, ConsensusRequest(runs=tuple(names)))
    choose(run=made.folder.name)
    st.switch_page("pages/explore/page.py", query_params=now.parameters | {"run": made.folder.name})


def _runs(runs: list[Run], names: list[str], found: Consensus, labels: NDArray[np.int32]) -> None:
    """Draw how alike the runs are: the one nearest to all others is the evidence for its number of clusters."""
    clusters = [len(np.unique(column[column >= 0])) for column in labels]
    best = int(np.argmax(found.likeness))
    with st.container(key="stack_likeness"):
        left, right = st.columns([2, 3], gap="medium")
    with left:
        st.markdown("##### How many clusters")
        words = f"The runs found {min(clusters):,} to {max(clusters):,} clusters."
        if min(clusters) == max(clusters):
            words = f"All runs found {count(clusters[0], 'cluster')}."
        elif len(runs) > 2:
            nearest = count(clusters[best], "cluster")
            words += f" Nearest to all others is **{escape(names[best])}** with {nearest}."
        st.markdown(words)
        table = pd.DataFrame({"run": names, "clusters": clusters, "likeness": found.likeness}).sort_values(
            "likeness", ascending=False
        )
        st.dataframe(
            table,
            hide_index=True,
            width="stretch",
            column_order=["clusters", "likeness", "run"],
            column_config={
                "likeness": st.column_config.NumberColumn(
                    format="%.3f", help="Mean adjusted Rand index with the other runs: 1 the same, 0 chance"
                )
            },
        )
    with right:
        st.markdown("##### Agreement of the runs :small[:gray[adjusted Rand index]]")
        likeness_map(found.agreement, names)


def _core(rows: Rows, found: Consensus, chosen: tuple[tuple[str, float], ...]) -> None:
    st.markdown("##### The settled core")
    looks = _looks(rows, found.groups, chosen, rows.embedding.key)
    sizes = np.bincount(found.groups[found.groups >= 0])[:_GROUPS]
    table = pd.DataFrame(
        {
            "group": np.arange(1, len(sizes) + 1),
            "looks": [strip_address(looks[at]) for at in range(len(sizes))],
            "images": sizes,
            "share": 100 * sizes / len(rows),
        }
    )
    pictures = rows.dataset.kind != "vectors"
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        row_height=44 if pictures else None,
        column_order=["group", *(["looks"] if pictures else []), "images", "share"],
        column_config={
            "group": st.column_config.NumberColumn(width=64),
            "looks": st.column_config.ImageColumn("", width=360, help="Typical images, then unlike ones"),
            "images": st.column_config.NumberColumn(format="localized"),
            "share": st.column_config.NumberColumn(format="%.1f%%", help="Of all images"),
        },
    )


def _border(
    rows: Rows, runs: list[Run], found: Consensus, labels: NDArray[np.int32], border: NDArray[np.int64], key: str
) -> None:
    st.markdown("##### The contested border :small[:gray[most disputed first]]")
    if not len(border):
        st.success("The runs agree on the surroundings of every image.", icon=":material/check_circle:")
        return

    def captions(at: NDArray[np.int64]) -> list[str]:
        return [
            f"{shown(rows.paths[row])} · disputed {found.disputed[row]:.0%} · clusters "
            + ", ".join(str(label) if label >= 0 else "noise" for label in labels[:, row])
            for row in border[at]
        ]

    if rows.dataset.kind != "vectors":
        gallery("consensus_border", rows.ids[border], version=key, captions=captions, keys={}, buttons={}, height=420)
        return
    listed = border[:_LISTED]
    table = pd.DataFrame({"row": [shown(rows.paths[row]) for row in listed], "disputed": found.disputed[listed]})
    for at, run in enumerate(runs):
        table[f"{at + 1}: {run.name}"] = [str(label) if label >= 0 else "noise" for label in labels[at, listed]]
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        height=320,
        column_config={"disputed": st.column_config.NumberColumn(format="percent", help="0: all runs see it alike")},
    )
