"""The kept clusterings of a data set: use one, rename it, file it under words, delete it, put it back."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from engine.clustering.registry import method_title
from engine.core.errors import StorageError
from engine.runs.judge import kept_verdict
from engine.runs.run import Run, update_config
from engine.runs.trash import restore_run, trash_run, trashed_runs
from pages.shared.actions import pressed
from pages.shared.metrics import METRICS, figures_of, title_of
from pages.shared.state import Current, choose, escape
from pages.shared.words import count

_FIGURES = {
    "clusters": "n_clusters",
    "silhouette": "silhouette",
    "balance": "balance",
    "largest": "largest_share",
    "accuracy": "accuracy",
}
_FORMATS = {
    "clusters": "localized",
    "silhouette": "%.3f",
    "balance": "%.2f",
    "largest": "percent",
    "accuracy": "percent",
}
_LONGEST = 200  # letters of a name
_LONGEST_TAG = 40


def kept_runs(now: Current) -> None:
    """Draw the table, what can be done with the chosen run, and the bin."""
    if now.runs:
        st.markdown("##### Kept clusterings", help="Choose a line to use, rename, tag or delete it")
        tags = sorted({tag for run in now.runs for tag in run.tags})
        wanted = set(st.pills("Tagged", tags, selection_mode="multi", format_func=escape) if tags else [])
        shown = [run for run in now.runs if wanted <= set(run.tags)]
        chosen = _table(now, shown, key=f"runs_{len(now.runs)}_{sorted(wanted)}")
        if chosen is not None:
            _one(now, chosen, tags)
    _bin(now)


def _table(now: Current, shown: list[Run], *, key: str) -> Run | None:
    """Draw the runs and return the chosen one."""
    used = now.run.folder.name if now.run else ""
    order = ["in use", "name", "tags", "method", "verdict", *_FIGURES, "made"]
    table = pd.DataFrame(
        [
            {
                "in use": run.folder.name == used,
                "name": run.name,
                "tags": run.tags,
                "method": method_title(run.method),
                **{title: figures_of(run).get(name) for title, name in _FIGURES.items()},
                "verdict": _word(run),
                "made": pd.Timestamp(run.created, unit="s"),
            }
            for run in shown
        ]
    )
    figures = {
        title: st.column_config.NumberColumn(format=_FORMATS[title], help=METRICS[name].meaning)
        for title, name in _FIGURES.items()
    }
    event = st.dataframe(
        table.dropna(axis="columns", how="all"),
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        column_order=[name for name in order if name != "tags" or any(run.tags for run in now.runs)],
        key=key,
        column_config={
            **figures,
            "tags": st.column_config.ListColumn(help="Words that you filed it under"),
            "made": st.column_config.DatetimeColumn(format="distance"),
        },
    )
    rows = event["selection"]["rows"]
    return shown[rows[0]] if rows and rows[0] < len(shown) else None


def _word(run: Run) -> str | None:
    """Return what a run is worth in a word; None where it was never judged, or its results are damaged."""
    try:
        found = kept_verdict(run)
    except StorageError:
        return None
    return None if found is None else found.word


def _one(now: Current, run: Run, tags: list[str]) -> None:
    """Draw what can be done with one run."""
    key = run.folder.name
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if pressed("Use this one", icon=":material/check:", help="Explore, Label, Export and Distil work on it"):
            choose(run=key)
            st.switch_page("pages/explore/page.py", query_params=now.parameters | {"run": key})
        name = st.text_input("Name", value=run.name, key=f"name_{key}", width=320).strip()[:_LONGEST]
        if name and name != run.name:
            update_config(run, title=name)
            st.rerun()
        filed = st.multiselect(
            "Tags", tags, default=run.tags, key=f"tags_{key}", accept_new_options=True, width=260, placeholder="No tags"
        )
        filed = list(dict.fromkeys(tag.strip()[:_LONGEST_TAG] for tag in filed if tag.strip()))
        if filed != run.tags:
            update_config(run, tags=filed)
            st.rerun()
        if pressed("Delete", icon=":material/delete:", help="It goes to the bin below and can be put back"):
            trash_run(now.workspace, run)
            choose(run=None)
            st.rerun()
    for sentence in run.results.get("notes", []):
        st.caption(escape(sentence))


def _bin(now: Current) -> None:
    """Offer to put back what was deleted."""
    binned = {run.folder.name: run for run in trashed_runs(now.workspace, now.dataset.id if now.dataset else None)}
    if not binned:
        return
    with st.expander(f"Bin: {count(len(binned), 'clustering')}", icon=":material/delete:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.selectbox("Deleted", list(binned), format_func=lambda key: title_of(binned[key]), width=420)
            if pressed("Put back", icon=":material/restore_from_trash:"):
                restore_run(now.workspace, binned[name])
                st.rerun()
