"""What a distillation made: how good it is in a sentence, its images class by class, and the accuracy of each set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from components.tiles.face import Tile, tiles
from engine.core.csv import path_text, write_csv
from engine.core.errors import KindredError
from engine.core.files import read_json
from engine.core.ids import positions
from engine.distillation.settings import TITLES
from engine.jobs.tasks.results import export_distilled, labels_used
from engine.runs.rows import Rows
from engine.runs.run import Run
from pages.shared.actions import pressed
from pages.shared.charts import AMBER, BLUE, GREY, draw
from pages.shared.downloads import Download, downloads
from pages.shared.metrics import facts
from pages.shared.mosaics import mosaic_of
from pages.shared.state import Current, escape, show_error
from pages.shared.words import count

_CLASSES = 24  # of which pictures are shown at first
_PICTURES = 10  # of a class


def result_of(run: Run) -> dict[str, Any] | None:
    """Return what results.json of a distillation holds; None where there is none."""
    path = run.folder / "distillation" / "results.json"
    return read_json(path) if path.exists() else None


def show_result(rows: Rows, run: Run, results: dict[str, Any]) -> None:
    """Draw the sentence, the pictures, and the chart."""
    st.markdown(verdict(results))
    facts(_figures(results))
    near = _nearest(rows, run, results)
    if near is not None:
        _pictures(rows, *near)
    _chart(results)
    told = [labels_used(results["labels"])] if "labels" in results else []
    st.caption(escape(" ".join([*told, *results.get("notes", [])])))


def verdict(results: dict[str, Any]) -> str:
    """Return in a sentence or two what the kept images are worth beside all of them and beside the baselines."""
    kept, chosen, every = int(results["images"]["distilled"]), results["chosen"], int(results["images"]["train"])
    sets = {**results["distilled"], **results["baselines"]}
    own, full = _images(sets.get(chosen, {})).get("mean"), (results.get("full") or {}).get("mean")
    if own is None or full is None:
        return f"**{count(kept, 'image')} kept** by {escape(TITLES[chosen])}; how well they train was not measured."
    told = f"**{count(kept, 'image')} train a classifier to {own:.0%}**; all {every:,} train it to {full:.0%}."
    others = {name: _images(entry).get("mean") for name, entry in results["baselines"].items() if name != chosen}
    simple = {name: mean for name, mean in others.items() if mean is not None}
    if not simple:
        return told
    best = max(simple, key=lambda name: simple[name])
    beside = f"the best simple choice, {escape(TITLES[best])}, reaches {simple[best]:.0%}"
    return f"{told} {'That is no gain:' if simple[best] >= own else 'For comparison,'} {beside}."


def _images(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured of the real images that stand for a set; older results measured the set alone."""
    found: dict[str, Any] = entry.get("nearest_images", entry)
    return found


def _figures(results: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = [
        ("images kept", f"{results['images']['distilled']:,}", f"of {results['images']['train']:,}"),
        ("times smaller", f"{results['compression']:,.0f}", "All training images over those that are kept"),
    ]
    if results.get("retention") is not None:
        found.append(
            (
                "of the accuracy kept",
                f"{results['retention']:.0%}",
                "Accuracy from the images kept, against that from all",
            )
        )
    kept_by = "Of all methods and simple choices, its images agree best with the training labels"
    found.append(("", TITLES[results["chosen"]], kept_by))
    return found


def _nearest(
    rows: Rows, run: Run, results: dict[str, Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]] | None:
    """Return the real row nearest to each distilled one, -1 where it is gone, its class and the class's name.

    None where there are no images.
    """
    path = run.folder / "distillation" / f"{results['chosen']}.npz"
    if rows.dataset.kind == "vectors" or not path.exists():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        if "nearest_contents" not in arrays.files:
            return None
        labels = arrays["labels"].astype(np.int64)
        names = arrays["names"].tolist() if "names" in arrays.files else [f"Cluster {label}" for label in labels]
        return positions(rows.contents, arrays["nearest_contents"]), labels, names


def _pictures(rows: Rows, at: NDArray[np.int64], labels: NDArray[np.int64], names: list[str]) -> None:
    """Draw the kept images of each class as a tile."""
    st.markdown("##### The images to keep")
    called = dict(zip(labels.tolist(), names, strict=True))
    classes = np.unique(labels[at >= 0]).tolist()
    shown = classes if st.session_state.get("distil_all") else classes[:_CLASSES]
    drawn = []
    for one in shown:
        members = np.unique(at[(labels == one) & (at >= 0)])
        drawn.append(
            Tile(str(one), mosaic_of(rows.ids[members[:_PICTURES]]), called[one], count(len(members), "image"))
        )
    tiles("distilled", drawn, label="The images to keep, class by class", width=200)
    if len(shown) < len(classes) and pressed(f"Show all {count(len(classes), 'class', 'classes')}", type="tertiary"):
        st.session_state["distil_all"] = True
        st.rerun()


def _chart(results: dict[str, Any]) -> None:
    found = [("All images", results.get("full") or {}, GREY)]
    found += [(TITLES[name], _images(values), BLUE) for name, values in results["distilled"].items()]
    found += [(TITLES[name], _images(values), AMBER) for name, values in results["baselines"].items()]
    found = [(name, values, color) for name, values, color in found if values.get("mean") is not None]
    if not found:
        return
    st.markdown(
        f"##### Accuracy beside the baselines :small[:gray[on test images, against "
        f"{escape(str(results.get('measured_against', 'labels')))}]]"
    )
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
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(autorange="reversed")
    draw(figure, "Test accuracy from the images that each method keeps", height=26 * len(found) + 56)


def take_along(now: Current, rows: Rows, run: Run, results: dict[str, Any]) -> None:
    """Draw the line by which the kept images are taken along: as a list, or copied into a folder."""
    near = _nearest(rows, run, results)
    if near is None:
        return
    at = near[0]

    def listed() -> bytes:
        target = now.workspace.cache / "exports" / f"{run.folder.name}-distilled.csv"
        kept = np.unique(at[at >= 0])
        write_csv(target, {"path": [path_text(rows.paths[row]) for row in kept]})
        return target.read_bytes()

    with st.container(horizontal=True, vertical_alignment="bottom"):
        downloads(run.folder.name, [Download("List of these images", f"{run.folder.name}-distilled.csv", listed)])
        target = st.text_input("Copy them into a new folder", placeholder="/home/me/distilled", width=360)
        if pressed("Copy", type="primary", icon=":material/folder_copy:", disabled=not target.strip()):
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
