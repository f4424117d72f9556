"""Find good clusters: the one button, the sweep while it runs, and the ranked board with pictures."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import streamlit as st

from engine.clustering.registry import method_title
from engine.core.errors import KindredError
from engine.geometry.prototypes import prototypes
from engine.jobs.job import JobStatus
from engine.jobs.tasks.boards import KeepRankRequest, keep_rank
from engine.runs.rows import Rows
from engine.selection.sweep.ranking import LeaderboardRow
from engine.selection.sweep.report import SweepResult, load_sweep
from engine.selection.sweep.settings import SweepSettings
from pages.cluster.training_view import largest_clusters
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.board import rows_of
from pages.shared.job_view import job_view
from pages.shared.metrics import METRICS
from pages.shared.pictures import strip, strip_address
from pages.shared.state import Current, choose, escape, show_error
from pages.shared.tasks import newest, start_job
from pages.shared.verdict import say_verdict
from pages.shared.words import count

_TIMES = {"1m": "1 minute", "5m": "5 minutes", "30m": "30 minutes", "none": "As long as it takes"}
_USUAL_TIME = "5m"
_SHOWN = {
    "mode",
    "n_clusters",
    "target_cluster_size",
    "min_clusters",
    "max_clusters",
    "algorithms",
    "max_combinations",
    "top_results",
    "stability",
    "n_jobs",
    "no_gpu",
    "time_limit",
    "silhouette_weight",
    "balance_weight",
    "noise_weight",
    "validation_weight",
}
_LARGEST = 4
_TABLE_AT_ONCE = 20_000  # images whose labels.csv is written while the person waits; Export makes it for more


@st.cache_resource(show_spinner=False, max_entries=4)
def _load(folder: str, ended: float) -> SweepResult:
    from pathlib import Path

    return load_sweep(Path(folder))


@st.cache_resource(show_spinner=False, max_entries=64)
def _looks(_rows: Rows, _result: SweepResult, _row: LeaderboardRow, folder: str, rank: int) -> list[int]:
    """Return the most typical image of each of the largest clusters."""
    labels = _result.labels(_row)
    found = prototypes(_rows.vectors, labels, count=1)
    sizes = pd.Series(labels[labels >= 0]).value_counts()
    wanted = [int(cluster) for cluster in sizes.index[:_LARGEST]]
    return [int(_rows.ids[found.rows_of(cluster, 1)[0]]) for cluster in wanted]


def sweep_board(now: Current) -> None:
    """Draw the button, or the running sweep, and the newest board."""
    assert now.dataset is not None and now.configuration is not None
    job = newest(now.workspace, "sweep", now.dataset, config_key=now.configuration.key)
    with st.container(border=True):
        st.markdown(
            "**Find good clusters** :gray[Tries many methods and settings and ranks what they find. "
            "No parameter needs to be known.]"
        )
        if job_view(job):
            assert job is not None
            _so_far(rows_of(now, now.configuration).training(), job)
            return
        buttons = st.container(horizontal=True, vertical_alignment="center")
        budget = buttons.segmented_control(
            "Time",
            list(_TIMES),
            default=_USUAL_TIME,
            required=True,
            format_func=_TIMES.__getitem__,
            key="sweep_time",
            persist_state="session",
            label_visibility="collapsed",
            help="Good cheap candidates come first, so a short look is a good one, too",
        )
        with buttons.popover("Settings", icon=":material/tune:"):
            hidden = {name for name in SweepSettings.model_fields if name not in _SHOWN}
            try:
                settings = forms.draw(SweepSettings, key="sweep", columns=1, skip=hidden)
            except KindredError as error:
                show_error(error)
                return
        done = newest(
            now.workspace, "sweep", now.dataset, made="clustering_summary.json", config_key=now.configuration.key
        )
        kind: Literal["primary", "secondary"] = "secondary" if done else "primary"
        if pressed("Find good clusters", button=buttons.button, type=kind, icon=":material/auto_awesome:"):
            start_job(
                now.workspace,
                "sweep",
                "Finding good clusters",
                now.dataset,
                config_key=now.configuration.key,
                settings=settings.changed(budget=budget).model_dump(mode="json"),
            )
            st.rerun()
        if done is not None:
            result = _load(str(done.folder), done.folder.stat().st_mtime)
            _board(now, rows_of(now, now.configuration).training(), result)


def _so_far(rows: Rows, job: JobStatus) -> None:
    """Show the largest clusters of the best candidate so far, anew whenever there is a better one."""
    if rows.dataset.kind == "vectors":
        return

    @st.fragment(run_every=2.0)
    def live() -> None:
        path = job.folder / "snapshot.npy"
        if path.exists():
            labels = np.load(path, allow_pickle=False)
            if len(labels) == len(rows):
                st.caption(f"The best so far: {count(int(labels.max(initial=-1)) + 1, 'cluster')}, the largest first")
                largest_clusters(rows, labels)

    live()


def _board(now: Current, rows: Rows, result: SweepResult) -> None:
    """Draw the ranked list; `rows` are those that were swept."""
    if not result.ranked:
        st.info("No structure was found: no candidate does better than its own labels shuffled.")
        return
    _say(now, result)
    kept = [row for row in result.ranked if row.folder]
    pictures = rows.dataset.kind != "vectors"
    table = pd.DataFrame(
        [
            {
                "rank": row.rank,
                "looks": strip_address(_looks(rows, result, row, str(result.folder), row.rank)) if pictures else None,
                "method": method_title(row.algorithm),
                "settings": _told(row),
                "clusters": row.n_clusters,
                "sizes": list(row.sizes[:40]),
                "evidence": row.evidence,
                "composite": row.composite,
                "silhouette": row.silhouette,
                "balance": row.balance,
                "stability": row.stability,
                "learnable": row.generalisation,
                "neighbours kept": row.neighbors,
                "other methods": row.agreement,
                "verdict": row.verdict.word if row.verdict else None,
                "pairs kept": row.pairs_together,
                "largest": row.largest_share,
                "noise": row.noise_share,
            }
            for row in kept
        ]
    ).dropna(axis="columns", how="all")
    percent = st.column_config.NumberColumn(format="percent")
    event = st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        row_height=44 if pictures else None,
        on_select="rerun",
        selection_mode="single-row",
        key=f"board_{result.folder.name}",
        column_config={
            "looks": st.column_config.ImageColumn("", width=180, help="The most typical image of the largest clusters"),
            "sizes": st.column_config.BarChartColumn("sizes", y_min=0, help="Cluster sizes, largest first"),
            "evidence": st.column_config.NumberColumn(
                format="%.2f", help="What ranks: stability x learnable x neighbours kept, for how much the clusters say"
            ),
            "composite": st.column_config.ProgressColumn(
                min_value=0.0, max_value=1.0, format="%.2f", help="Silhouette, balance and little noise in one"
            ),
            "neighbours kept": st.column_config.NumberColumn(
                format="%.2f", help="How far images and their nearest are in one cluster; 0 is chance"
            ),
            "verdict": st.column_config.TextColumn(width=150),
            "silhouette": st.column_config.NumberColumn(format="%.3f"),
            "balance": st.column_config.NumberColumn(format="%.2f"),
            "stability": st.column_config.NumberColumn(
                format="%.2f", help="How alike two clusterings of different parts of the images are (ARI)"
            ),
            "learnable": st.column_config.NumberColumn(
                format="%.2f",
                help="How well a classifier names the cluster of images that it has not seen; 0 is chance",
            ),
            "other methods": st.column_config.NumberColumn(
                format="%.2f", help="How alike the clusters of other methods are, at about as many clusters (ARI)"
            ),
            "pairs kept": st.column_config.NumberColumn(
                format="percent", help="Share of the pairs named on Images that are in one cluster"
            ),
            "largest": percent,
            "noise": st.column_config.NumberColumn(format="percent", help=METRICS["noise_share"].meaning),
        },
    )
    others = len(result.unstructured) + len(result.failed) + len(result.set_aside)
    if others:
        with st.expander(f"{count(others, 'candidate')} not ranked"):
            reasons = [*result.unstructured, *result.failed, *result.set_aside]
            st.dataframe(
                pd.DataFrame({"candidate": [row.title for row in reasons], "why": [row.reason for row in reasons]}),
                hide_index=True,
                width="stretch",
            )
    chosen = event["selection"]["rows"]
    best = kept[chosen[0]] if chosen and chosen[0] < len(kept) else kept[0]
    if pictures:
        _watched(rows, best)
    if pressed(f"Use rank {best.rank}", type="primary", icon=":material/check:", key="use_rank"):
        _use(now, result, best)


def _say(now: Current, result: SweepResult) -> None:
    """Say what the first rank is worth, what to do about it, and whether the number of clusters is clear."""
    if result.verdict is not None:
        say_verdict(now, result.verdict, way=result.verdict.word == "weak")
    if result.why:
        st.markdown(escape(" ".join(result.why)))
    if result.left_out:
        st.caption(f"There was no time for {count(result.left_out, 'candidate')}; with more time they are tried, too.")
    if result.other_number is not None:
        st.caption(
            f"No clear number of groups: {result.ranked[0].n_clusters:,} and {result.other_number:,} clusters are "
            "nearly as well supported. If you know about how many there are, say so under Settings."
        )


def _watched(rows: Rows, row: LeaderboardRow) -> None:
    """Show in what company the watched images are."""
    for found in row.target or ():
        st.caption(
            f"A watched image among the {found['size']:,} of cluster {found['cluster']}, with its nearest there"
            if found["cluster"] >= 0
            else "A watched image that is noise in this clustering"
        )
        strip(rows.ids[[found["row"], *found["nearest"]]], size=56)


def _told(row: LeaderboardRow) -> str:
    hidden = {"random_state", "n_init", "max_iter"}
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in row.parameters.items() if name not in hidden
    )


def _use(now: Current, result: SweepResult, row: LeaderboardRow) -> None:
    """Keep a ranked clustering as a run, exactly as it is shown, and go to it."""
    try:
        small = int(result.summary["n_images"]) <= _TABLE_AT_ONCE
        run = keep_rank(now.workspace, KeepRankRequest(board=str(result.folder), rank=row.rank, table=small))
    except KindredError as error:
        show_error(error)
        return
    choose(run=run.folder.name)
    st.switch_page("pages/explore/page.py", query_params=now.parameters | {"run": run.folder.name})
