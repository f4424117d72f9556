"""Compare: analyse one run, lay two side by side, weigh several, or try several models on the same images."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.core.errors import KindredError
from engine.runs.run import Run
from pages.compare.analysis_view import analysis_view
from pages.compare.consensus_view import consensus_view
from pages.compare.experiment_view import experiment_view
from pages.compare.run_rows import open_finished
from pages.compare.two_encoders import two_encoders
from pages.compare.two_runs import two_runs
from pages.shared.board import rows_of
from pages.shared.frame import first_do, heading
from pages.shared.run_names import names_of_runs
from pages.shared.state import Current, current, show_error

_VIEWS = ("Analyse", "Two side by side", "Encoders", "Consensus", "Experiments")


def _pick(now: Current, title: str, *, skip: str = "", key: str) -> Run | None:
    """Let the person choose a run: by default the one that the address names under `key`, else the one in use."""
    known = {run.folder.name: run for run in now.runs if run.folder.name != skip}
    asked = str(st.query_params.get(key, ""))
    used, names = asked if asked in known else now.run.folder.name if now.run else "", names_of_runs(now.runs)
    name = st.selectbox(
        title,
        list(known),
        index=list(known).index(used) if used in known else 0 if known else None,
        format_func=names.__getitem__,
        key=f"{key}_{used}_{skip}",
        placeholder="No other run",
    )
    return known.get(str(name))


def _analyse(now: Current) -> None:
    """Analyse a run of the library, or one that lies elsewhere."""
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        run = _pick(now, "Run", key="analyse")
    folder = right.text_input(
        "Or a run's folder",
        key="analyse_folder",
        placeholder="/path/to/a/run",
        persist_state="session",
        help="A run that was written elsewhere, for example with --results-dir",
    ).strip()
    if folder:
        run = open_finished(Path(folder))
    if run is None:
        first_do(now, "Keep a clustering first, or name the folder of a run.", "pages/cluster/page.py", "Cluster")
        return
    analysis_view(now, run)


def _two(now: Current) -> None:
    if len(now.runs) < 2 or now.configuration is None:
        first_do(now, "Two clusterings are needed: keep another one.", "pages/cluster/page.py", "Cluster")
        return
    left, right = st.columns(2)
    with left:
        first = _pick(now, "First", key="first")
    with right:
        second = _pick(now, "Second", key="second", skip=first.folder.name if first else "")
    if first is not None and second is not None:
        names = names_of_runs(now.runs)
        two_runs(
            rows_of(now, now.configuration), (first, second), (names[first.folder.name], names[second.folder.name])
        )


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Compare", "")
    if now.dataset is None:
        first_do(now, "Choose images first.", "pages/images/page.py", "Images")
        return
    view = st.segmented_control(
        "View", _VIEWS, default=_VIEWS[0], required=True, key="view", bind="query-params", label_visibility="collapsed"
    )
    try:
        if view == "Experiments":
            experiment_view(now)
        elif view == "Consensus":
            consensus_view(now)
        elif view == "Encoders":
            two_encoders(now)
        elif view == "Two side by side":
            _two(now)
        else:
            _analyse(now)
    except KindredError as error:
        show_error(error)


page()
