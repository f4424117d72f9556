"""The kept clusterings of a data set: use one, rename it, file it under words, delete it, put it back."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from components.tiles.face import Tile, tiles
from engine.clustering.registry import method_title
from engine.core.errors import StorageError
from engine.runs.judge import kept_figures, kept_verdict
from engine.runs.run import Run, update_config
from engine.runs.trash import restore_run, trash_run, trashed_runs
from pages.shared.actions import pressed
from pages.shared.metrics import METRICS, figures_of
from pages.shared.mosaics import mosaic_of_run
from pages.shared.run_names import names_of_runs
from pages.shared.state import Current, choose, escape
from pages.shared.verdict import SCORES
from pages.shared.words import count, figure

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
_AT_FIRST = 24  # thumbnails; the others follow by a click
LOOKED_AT = "cluster_looked_at"  # the run that a person chose on this page, so that it is shown large


def kept_runs(now: Current) -> None:
    """Draw the kept clusterings as thumbnails; one click makes one the clustering in use."""
    if len(now.runs) < 2:
        return
    names = names_of_runs(now.runs)
    used = now.run.folder.name if now.run else ""
    st.markdown("##### Kept")
    opened = "kept_runs_all"
    shown = now.runs if st.session_state.get(opened) else now.runs[:_AT_FIRST]
    pictures = now.dataset is not None and now.dataset.kind != "vectors"
    drawn = [
        Tile(
            run.folder.name,
            mosaic_of_run(run) if pictures else "",
            names[run.folder.name],
            _told(run),
            mark="in use" if run.folder.name == used else "",
            hint=f"{names[run.folder.name]}. Show it large and use it on the other pages.",
        )
        for run in shown
    ]
    chosen = tiles(f"kept_{now.dataset.id if now.dataset else ''}", drawn, label="Kept", width=168, chosen=used)
    if len(shown) < len(now.runs) and pressed(f"Show all {len(now.runs):,}", type="tertiary"):
        st.session_state[opened] = True
        st.rerun()
    if chosen is not None:
        choose(run=chosen)
        st.session_state[LOOKED_AT] = chosen
        st.rerun()


def _told(run: Run) -> str:
    """Return verdict, the figure that the board showed, else the silhouette, and tags of a run in a few words."""
    found = kept_figures(run)
    shown = next((name for name in ("evidence", "silhouette") if name in found), None)
    parts = [_word(run) or "", f"{SCORES[shown]} {figure(found[shown])}" if shown else "", *run.tags]
    return " · ".join(part for part in parts if part)


def runs_table(now: Current) -> None:
    """Draw the table, with what can be done with the chosen run."""
    tags = sorted({tag for run in now.runs for tag in run.tags})
    wanted = set(st.pills("Tagged", tags, selection_mode="multi", format_func=escape) if tags else [])
    shown = [run for run in now.runs if wanted <= set(run.tags)]
    chosen = _table(now, shown, key=f"runs_{len(now.runs)}_{sorted(wanted)}")
    if chosen is not None:
        _one(now, chosen, tags)


def manage(now: Current, run: Run) -> None:
    """Draw what can be done with the run in use, behind one button."""
    with st.popover("", icon=":material/more_horiz:", help="Rename, tag or delete", type="tertiary"):
        key = f"used_{run.folder.name}"
        _rename(run, key)
        _tag(run, sorted({tag for other in now.runs for tag in other.tags}), key)
        _delete(now, run, key)


def _table(now: Current, shown: list[Run], *, key: str) -> Run | None:
    """Draw the runs and return the chosen one."""
    used, names = now.run.folder.name if now.run else "", names_of_runs(now.runs)
    order = ["in use", "name", "tags", "method", "verdict", *_FIGURES, "made"]
    table = pd.DataFrame(
        [
            {
                "in use": run.folder.name == used,
                "name": names[run.folder.name],
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
        _rename(run, key)
        _tag(run, tags, key)
        _delete(now, run, key)
    for sentence in run.results.get("notes", []):
        st.caption(escape(sentence))


def _rename(run: Run, key: str) -> None:
    st.text_input("Name", value=run.name, key=f"name_{key}", width=320, on_change=_renamed, args=(run, f"name_{key}"))


def _renamed(run: Run, key: str) -> None:
    """Take over the name that was entered; the other field for it shows it, too."""
    name = str(st.session_state.get(key) or "")[:_LONGEST].strip()
    if name and name != run.name:
        update_config(run, title=name)
    _show_in_both("name", run, name or run.name)


def _tag(run: Run, tags: list[str], key: str) -> None:
    st.multiselect(
        "Tags",
        tags,
        default=run.tags,
        key=f"tags_{key}",
        accept_new_options=True,
        width=260,
        placeholder="No tags",
        on_change=_tagged,
        args=(run, f"tags_{key}"),
    )


def _tagged(run: Run, key: str) -> None:
    """Take over the tags that were chosen."""
    chosen = st.session_state.get(key) or []
    filed = list(dict.fromkeys(tag.strip()[:_LONGEST_TAG] for tag in chosen if tag.strip()))
    if filed != run.tags:
        update_config(run, tags=filed)
    _show_in_both("tags", run, filed)


def _show_in_both(what: str, run: Run, value: object) -> None:
    """Let both fields for a run, beside its name and below the table, hold the same."""
    for key in (f"{what}_{run.folder.name}", f"{what}_used_{run.folder.name}"):
        if key in st.session_state:
            st.session_state[key] = value


def _delete(now: Current, run: Run, key: str) -> None:
    help = "It goes to the bin below and can be put back"
    if pressed("Delete", icon=":material/delete:", key=f"delete_{key}", help=help):
        trash_run(now.workspace, run)
        choose(run=None)
        st.rerun()


def bin_of_runs(now: Current) -> None:
    """Offer to put back what was deleted."""
    binned = {run.folder.name: run for run in trashed_runs(now.workspace, now.dataset.id if now.dataset else None)}
    if not binned:
        return
    names = names_of_runs(list(binned.values()))
    with st.expander(f"Bin: {count(len(binned), 'clustering')}", icon=":material/delete:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.selectbox("Deleted", list(binned), format_func=lambda key: names[key], width=420)
            if pressed("Put back", icon=":material/restore_from_trash:"):
                restore_run(now.workspace, binned[name])
                st.rerun()
