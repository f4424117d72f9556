"""All images of a data set as a gallery, in the order of what was measured on them, and the sample taken of them."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.gallery.face import clear_gallery, gallery, gallery_order
from engine.core.errors import KindredError
from engine.core.ids import to_bytes
from engine.images.datasets import Dataset
from engine.images.sampling import (
    Sample,
    SampleSettings,
    draw_sample,
    forget_sample,
    keep_sample,
)
from engine.images.sources import shown
from engine.images.tables import ImageTable, load_images, load_quality
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.pictures import strip
from pages.shared.state import Current, escape, show_error
from pages.shared.words import count

GALLERY = "all_images"
_MOST_NAMED = 20
# Order of the menu: what it sorts by, and whether the largest come first.
_ORDERS = {
    "path": "by file name",
    "blurred": "blurred first",
    "dark": "dark first",
    "bright": "bright first",
    "flat": "without detail first",
    "grey": "grey first",
    "small": "small first",
}
_MEASURES = {
    "blurred": ("sharpness", 1),
    "dark": ("brightness", 1),
    "bright": ("brightness", -1),
    "flat": ("entropy", 1),
    "grey": ("colourfulness", 1),
}


def all_images(now: Current, dataset: Dataset) -> None:
    """Draw the gallery, what can be done with the selected images, and the panel of the sample."""
    table = load_images(now.workspace, dataset.id)
    sample = now.sample
    order = gallery_order(GALLERY, "path")
    rows = _ordered(now, dataset, table, order)
    named = str(st.query_params.get("name", ""))
    if named:
        rows = rows[[named.casefold() in shown(table.paths[row]).casefold() for row in rows.tolist()]]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{count(len(rows), 'image')} called “{escape(named)}”", width="content")
            if pressed("Show all images", type="tertiary"):
                del st.query_params["name"]
                st.rerun()
    badges = None
    if sample is not None and len(sample) < len(table):
        badges = np.zeros(len(table), np.uint8)
        badges[sample.rows(table.contents)] = 1
    chosen = gallery(
        GALLERY,
        table.ids[rows],
        version=f"{dataset.id}-{dataset.scanned}-{len(table)}-{order}{'-' if named else ''}{named}",
        captions=lambda at: [shown(table.paths[row]) for row in rows[at]],
        badges=None if badges is None else badges[rows],
        badge_names=["in the sample"],
        orders=_ORDERS,
        order=order,
        buttons={},
        keys={},
        height=620,
        label="Images of the data set",
    )
    _selected(now, dataset, sample, to_bytes(table.contents[rows[chosen.selected]]))
    _sample_panel(now, dataset, table, sample)


def _ordered(now: Current, dataset: Dataset, table: ImageTable, order: str) -> NDArray[np.int64]:
    """Return the rows of the table in display order; what was not measured comes last."""
    if order == "small":
        return np.argsort(table.width.astype(np.int64) * table.height, kind="stable")
    if order in _MEASURES:
        name, sign = _MEASURES[order]
        measured = load_quality(now.workspace, dataset.id)
        if name in measured:
            return np.argsort(sign * measured[name], kind="stable")
    return np.arange(len(table))


def _sample_panel(now: Current, dataset: Dataset, table: ImageTable, sample: Sample | None) -> None:
    """How much to take, and what the person named."""
    title = "Work on a sample"
    if sample is not None:
        title = f"Working on {len(sample):,} of {count(len(table), 'image')}"
    with st.expander(title, icon=":material/filter_alt:"):
        st.markdown(
            ":gray[Embed and cluster a part first. A larger sample contains the smaller one, so nothing is embedded "
            "twice. Images that you select below can be watched, or named as belonging together.]"
        )
        settings = _settings(sample)
        with st.container(horizontal=True):
            if pressed("Take this sample", icon=":material/filter_alt:", disabled=settings is None) and settings:
                _take(now, dataset, settings, *_named(sample))
            if sample is not None and pressed("Work on all images", icon=":material/filter_alt_off:"):
                forget_sample(now.workspace, dataset.id)
                st.rerun()
        if sample is not None:
            _show_named(table, sample)


def _selected(now: Current, dataset: Dataset, sample: Sample | None, picked: list[bytes]) -> None:
    """What can be said of the selected images."""
    settings = sample.settings if sample is not None else SampleSettings()
    targets, pairs = _named(sample)
    with st.container(horizontal=True, vertical_alignment="center"):
        if pressed(
            "Watch",
            icon=":material/visibility:",
            disabled=not 1 <= len(picked) <= _MOST_NAMED,
            help="Always in the sample; after each clustering you see what is grouped with them",
        ):
            _take(now, dataset, settings, list(dict.fromkeys([*targets, *picked])), pairs)
        if pressed(
            "These belong together",
            icon=":material/link:",
            disabled=not 2 <= len(picked) <= _MOST_NAMED,
            help="Select two or more images of one thing: clusterings that keep them together rank higher",
        ):
            added = list(zip(picked[:-1], picked[1:], strict=True))
            _take(now, dataset, settings, targets, list(dict.fromkeys([*pairs, *added])))


def _named(sample: Sample | None) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """Return the targets and the pairs so far."""
    return ([], []) if sample is None else (sample.targets, sample.pairs)


def _settings(sample: Sample | None) -> SampleSettings | None:
    """Draw the controls; None where their values do not fit together."""
    start = sample.settings.model_dump() if sample is not None else {"rate": 10.0}
    try:
        return forms.draw(SampleSettings, key="sample", values=start, columns=3)
    except KindredError as error:
        show_error(error)
        return None


def _take(
    now: Current, dataset: Dataset, settings: SampleSettings, targets: list[bytes], pairs: list[tuple[bytes, bytes]]
) -> None:
    try:
        keep_sample(now.workspace, draw_sample(now.workspace, dataset.id, settings, targets=targets, pairs=pairs))
    except KindredError as error:
        show_error(error)
        return
    clear_gallery(GALLERY)
    st.rerun()


def _show_named(table: ImageTable, sample: Sample) -> None:
    """Show the images that the person named."""
    watched = sample.target_rows(table.contents)
    pairs = sample.pair_rows(table.contents)
    if len(watched):
        st.caption("Watched")
        strip(table.ids[watched][:40], size=56)
    if len(pairs):
        st.caption("Belong together")
        for first, second in pairs[:20]:
            strip(table.ids[[first, second]], size=56)
