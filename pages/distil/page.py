"""Distil: a small set on which a classifier trains almost as well, measured against honest baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from engine.core.csv import path_text, write_csv
from engine.core.errors import KindredError
from engine.core.files import read_json
from engine.core.ids import positions
from engine.distillation.settings import TITLES, DistilSettings
from engine.jobs.tasks.results import export_distilled
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


def _chart(results: dict[str, Any]) -> None:
    found = [("Full data", results["full"], GREY)]
    found += [(TITLES[name], values, BLUE) for name, values in results["distilled"].items()]
    found += [(TITLES[name], values, AMBER) for name, values in results["baselines"].items()]
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
    draw(figure, "Test accuracy of each set", height=40 * len(found) + 86)


def _result(now: Current, run: Run) -> None:
    folder = run.folder / "distillation"
    if not (folder / "results.json").exists():
        return
    results = read_json(folder / "results.json")
    cells = st.columns(4)
    cells[0].metric("Images kept", f"{results['images']['distilled']:,}", help=f"of {results['images']['train']:,}")
    cells[1].metric("Compression", f"{results['compression']:,.0f} times")
    if results.get("retention") is not None:
        cells[2].metric("Retention", f"{results['retention']:.0%}", help="Accuracy kept, distilled against full data")
    cells[3].metric("Best method", TITLES[results["chosen"]])
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
    st.markdown("##### The images nearest to the distilled ones")
    for cluster in np.unique(labels)[:20]:
        members = at[(labels == cluster) & (at >= 0)]
        strip(rows.ids[np.unique(members)][:20], size=56)

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
    with st.container(border=True):
        try:
            settings = forms.draw(DistilSettings, key="distil", columns=3, skip={"device"})
        except KindredError as error:
            show_error(error)
            return
        if pressed("Distil", type="primary", icon=":material/compress:"):
            start_job(
                now.workspace,
                "distil",
                "Distilling",
                now.dataset,
                run=str(run.folder),
                settings=settings.model_dump(mode="json"),
            )
            st.rerun()
    _result(now, run)


page()
