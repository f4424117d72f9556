"""Hyper-parameter search: settings to try, the trials as they come, what mattered, and the best trained in full."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from engine.clustering.registry import Method, find_method
from engine.core.errors import KindredError
from engine.core.files import read_json
from engine.core.settings import Control, Settings, controls
from engine.selection.search.search import grid_sentence
from engine.selection.search.space import (
    AUTOMATIC,
    check_space,
    default_space,
    grid_size,
    parse_space,
    written_space,
)
from pages.shared.actions import pressed
from pages.shared.board import rows_of
from pages.shared.charts import draw
from pages.shared.job_view import job_view
from pages.shared.state import Current, escape, show_error
from pages.shared.tasks import newest, start_clustering, start_job


def search_panel(now: Current, method: Method, settings: Settings) -> None:
    """Draw the panel of one method; every trial starts from `settings`."""
    assert now.dataset is not None and now.configuration is not None
    job = newest(now.workspace, "search", now.dataset, config_key=now.configuration.key, method=method.name)
    if job_view(job):
        return
    cells = st.columns([2, 2, 2, 2, 2, 2], vertical_alignment="bottom")
    how = cells[0].selectbox("How", ["random", "bayesian", "grid"], key=f"search_how_{method.name}")
    trials = cells[1].number_input("Trials", 2, 500, 20, key=f"search_trials_{method.name}")
    epochs = cells[2].number_input(
        "Epochs each", 1, 1000, 50, key=f"search_epochs_{method.name}", disabled=method.kind == "fast"
    )
    metric = cells[3].selectbox(
        "Metric",
        ["silhouette", "accuracy", "nmi", "ari"],
        key=f"search_metric_{method.name}",
        help="Silhouette needs no truth; it counts clusterings with a balance of at least 0.3",
    )
    seed = cells[4].number_input("Seed", 0, 2**31 - 1, 0, key=f"search_seed_{method.name}")
    space = _space(method, len(rows_of(now, now.configuration).training()))
    try:
        dimensions = check_space(settings, parse_space(type(settings), space))
    except KindredError as error:
        show_error(error)
        return
    if how == "grid":
        st.caption(grid_sentence(grid_size(dimensions), int(trials)))
    if pressed(
        "Search",
        button=cells[5].button,
        icon=":material/manage_search:",
        key=f"search_start_{method.name}",
        width="stretch",
    ):
        start_job(
            now.workspace,
            "search",
            f"Searching settings of {method.title}",
            now.dataset,
            config_key=now.configuration.key,
            method=method.name,
            settings=settings.given(),
            how=how,
            trials=int(trials),
            epochs=int(epochs),
            metric=metric,
            random_state=int(seed),
            space=space,
        )
        st.rerun()
    if job is not None and (job.folder / "trials.json").exists():
        _show(now, method, read_json(job.folder / "trials.json"))


def _space(method: Method, n: int) -> dict[str, str]:
    """Let the person choose which settings are searched, each over a range or choices; the method's own at first."""
    own = written_space(default_space(method.settings_class, n))
    known = {control.name: control for control in controls(method.settings_class) if control.kind != "list"}
    names = st.multiselect(
        "Searched settings",
        list(known),
        default=[name for name in own if name in known],
        format_func=lambda name: known[name].label,
        key=f"search_space_{method.name}",
        help="The others stay as they are set above. A range is written 2..20, choices 2, 5, 10.",
    )
    space: dict[str, str] = {}
    for first in range(0, len(names), 3):
        for name, cell in zip(names[first : first + 3], st.columns(3), strict=False):
            space[name] = cell.text_input(
                known[name].label,
                own.get(name, _values(known[name])),
                key=f"search_space_{method.name}_{name}",
                help=known[name].help,
            )
    return space


def _values(control: Control) -> str:
    """Return what is offered of a setting that the method itself does not search: its choices, or its default."""
    if control.kind == "bool":
        return "true, false"
    if control.choices:
        return ", ".join(str(choice) for choice in control.choices)
    return AUTOMATIC if control.default is None else str(control.default)


def _show(now: Current, method: Method, found: dict[str, Any]) -> None:
    trials = pd.DataFrame(found["trials"]).dropna(axis="columns", how="all")
    st.markdown(f"**Best {escape(found['metric'])}: {found['best_score']:.3f}**")
    if found.get("combinations"):
        st.caption(grid_sentence(found["combinations"], len(found["trials"])))
    names = [name for name in found["best_params"] if name in trials.columns]
    finished = trials.dropna(subset=["score"]) if "score" in trials else trials.iloc[:0]
    if len(finished) > 1 and names:
        dimensions = [_dimension(finished[name], name) for name in [*names, "score"]]
        figure = go.Figure(
            go.Parcoords(line={"color": finished["score"], "colorscale": "Viridis"}, dimensions=dimensions)
        )
        figure.update_traces(domain={"x": [0.05, 0.95], "y": [0, 0.85]})
        draw(figure, "Settings and scores of all trials", height=280)
    if found.get("importances"):
        bars = go.Figure(go.Bar(x=list(found["importances"].values()), y=list(found["importances"]), orientation="h"))
        bars.update_xaxes(title="share of the score's variance that the setting explains")
        draw(bars, "Which settings mattered", height=32 * len(found["importances"]) + 76)
    st.dataframe(trials, hide_index=True, width="stretch", height=240)
    if pressed("Train the best in full", type="primary", icon=":material/play_arrow:", key=f"train_best_{method.name}"):
        assert now.dataset is not None and now.configuration is not None
        settings = find_method(method.name).settings_class.parse(found["best_settings"])
        start_clustering(now.workspace, now.dataset, now.configuration.key, method, settings)
        st.rerun()


def _dimension(column: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - a pandas column
    """Return one axis of the parallel coordinates; choices become numbered ticks."""
    if column.dtype.kind in "fiu":
        return {"label": name.replace("_", " "), "values": column}
    codes, texts = pd.factorize(column.astype(str))
    return {
        "label": name.replace("_", " "),
        "values": codes,
        "tickvals": list(range(len(texts))),
        "ticktext": list(texts),
    }
