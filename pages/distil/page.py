"""Distil: a small set on which a classifier trains almost as well, measured against honest baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from engine.clustering.deep.forecast import human_time
from engine.core.csv import path_text, write_csv
from engine.core.errors import KindredError
from engine.core.files import read_json
from engine.core.ids import positions
from engine.distillation.settings import TITLES, DistilSettings
from engine.jobs.tasks.results import export_distilled, labels_to_learn, labels_used
from engine.runs.rows import Rows
from engine.runs.run import Run
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.board import rows_of
from pages.shared.charts import AMBER, BLUE, GREY, draw
from pages.shared.downloads import Download, downloads
from pages.shared.frame import first_do, heading
from pages.shared.job_view import job_view
from pages.shared.pictures import strip
from pages.shared.state import Current, current, escape, show_error
from pages.shared.tasks import newest, start_job
from pages.shared.words import count

MOST_STRIPS = 20


@st.cache_data(show_spinner="Measuring how fast this machine is")
def _foreseen(given: str, n: int, columns: int, classes: int) -> float:
    """Return the seconds that a distillation will take; `given` is the JSON of what was set."""
    from engine.distillation.forecast import seconds_needed

    return seconds_needed(DistilSettings.model_validate_json(given), n, columns, classes)


def _how_long(settings: DistilSettings, rows: Rows, classes: int) -> str:
    """Return a sentence on the time that the chosen preset takes, and each other one."""
    n = len(rows.train) if len(rows.test) else round(len(rows) * (1 - settings.test_fraction))
    told = {}
    for name in DistilSettings.presets:
        given = settings.changed(preset=name).model_dump_json(exclude_unset=True)
        told[name] = human_time(_foreseen(given, n, rows.vectors.shape[1], classes))
    others = ", ".join(f"{name} {time}" for name, time in told.items() if name != settings.preset)
    return f"About {told[settings.preset]} on this machine, by a few steps of each part ({others})."


def _chart(results: dict[str, Any]) -> None:
    def near(values: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = values.get("nearest_images", values)
        return kept

    found = [("Full data", results["full"], GREY)]
    found += [(TITLES[name], near(values), BLUE) for name, values in results["distilled"].items()]
    found += [(TITLES[name], near(values), AMBER) for name, values in results["baselines"].items()]
    found = [(name, values, color) for name, values, color in found if values.get("mean") is not None]
    if not found:
        return
    figure = go.Figure(
        go.Bar(
            x=[values["mean"] for _, values, _ in found],
            y=[name for name, _, _ in found],
            error_x={"array": [values["std"] for _, values, _ in found]},
            orientation="h",
            marker_color=[color for _, _, color in found],
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    )
    figure.update_xaxes(tickformat=".0%", title=f"test accuracy ({results.get('measured_against', 'labels')})")
    figure.update_yaxes(autorange="reversed")
    draw(figure, "Test accuracy from the images that each method keeps", height=40 * len(found) + 86)


def _result(now: Current, run: Run) -> None:
    folder = run.folder / "distillation"
    if not (folder / "results.json").exists():
        return
    results = read_json(folder / "results.json")
    cells = st.columns(4)
    cells[0].metric("Images kept", f"{results['images']['distilled']:,}", help=f"of {results['images']['train']:,}")
    cells[1].metric("Compression", f"{results['compression']:,.0f} times")
    if results.get("retention") is not None:
        cells[2].metric(
            "Retention", f"{results['retention']:.0%}", help="Accuracy from the images kept, against that from all"
        )
    cells[3].metric("Kept by", TITLES[results["chosen"]])
    if "labels" in results:
        st.caption(labels_used(results["labels"]))
    _chart(results)
    for sentence in results.get("notes", []):
        st.caption(escape(sentence))
    _nearest(now, run, folder / f"{results['chosen']}.npz")


def _nearest(now: Current, run: Run, path: Any) -> None:  # noqa: ANN401 - a path
    """Show the real image nearest to each distilled row, one line per cluster."""
    if now.configuration is None or not path.exists():
        return
    rows = rows_of(now, now.configuration)
    with np.load(path, allow_pickle=False) as arrays:
        if "nearest_contents" not in arrays.files or rows.dataset.kind == "vectors":
            return
        at, labels = positions(rows.contents, arrays["nearest_contents"]), arrays["labels"]
        names = arrays["names"] if "names" in arrays.files else [f"Cluster {label}" for label in labels]
    called = dict(zip(labels.tolist(), names, strict=True))
    st.markdown("##### The images that are kept")
    for label, name in sorted(called.items())[:MOST_STRIPS]:
        members = at[(labels == label) & (at >= 0)]
        st.caption(escape(str(name)))
        strip(rows.ids[np.unique(members)][:20], size=56)
    if len(called) > MOST_STRIPS:
        st.caption(f"and those of {count(len(called) - MOST_STRIPS, 'more group')}")

    def listed() -> bytes:
        target = now.workspace.cache / "exports" / f"{run.folder.name}-distilled.csv"
        kept = np.unique(at[at >= 0])
        write_csv(target, {"path": [path_text(rows.paths[row]) for row in kept]})
        return target.read_bytes()

    with st.container(horizontal=True, vertical_alignment="bottom"):
        downloads(run.folder.name, [Download("List of these images", f"{run.folder.name}-distilled.csv", listed)])
        target = st.text_input("Copy them into a new folder", placeholder="/home/me/distilled", width=360)
        if pressed("Copy", icon=":material/folder_copy:", disabled=not target.strip()):
            _copy(now, run, Path(target.strip()).expanduser())


def _copy(now: Current, run: Run, target: Path) -> None:
    """Write the nearest images into one folder for each cluster."""
    try:
        with st.spinner("Copying"):
            done = export_distilled(now.workspace, run, target)
    except KindredError as error:
        show_error(error)
        return
    st.success(f"{count(done.written, 'file')} in {escape(done.target)}", icon=":material/check:")


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Distil", "Keep a few images per cluster on which a classifier trains almost as well.")
    if now.dataset is None or now.run is None:
        first_do(now, "Keep a clustering first.", "pages/cluster/page.py", "Cluster")
        return
    run = now.run
    job = newest(now.workspace, "distil", now.dataset)
    st.caption(f"From {escape(run.name)}, {count(int(run.results['train']['n_clusters']), 'cluster')}")
    if job_view(job):
        return
    try:
        rows = rows_of(now, now.configuration) if now.configuration is not None else None
        learned = None if rows is None else labels_to_learn(now.workspace, run, rows)
    except KindredError as error:
        show_error(error)
        return
    with st.container(border=True):
        try:
            settings = forms.draw_fitted(
                DistilSettings, lambda given: given.resolved().model_dump(), key="distil", columns=3
            )
        except KindredError as error:
            show_error(error)
            return
        if learned is not None:
            st.caption(labels_used(learned.counts))
        if pressed("Distil", type="primary", icon=":material/compress:"):
            start_job(
                now.workspace,
                "distil",
                "Distilling",
                now.dataset,
                run=str(run.folder),
                settings=settings.given(),
            )
            st.rerun()
        if rows is not None and learned is not None:
            st.caption(_how_long(settings, rows, learned.n_classes))
    _result(now, run)


page()
