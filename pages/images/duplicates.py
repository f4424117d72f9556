"""The panel of duplicates on Images: groups of pictures that show the same, which is kept, and what is set aside."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from engine.core.errors import KindredError
from engine.geometry.duplicates import LEVELS
from engine.images.datasets import Dataset
from engine.images.sources import shown
from engine.images.tables import ImageTable, load_images
from engine.jobs.tasks.duplicates import DuplicatesRequest, Found, open_groups
from engine.labels.aside import labels_of_images, labels_within, set_aside
from engine.labels.state import LabelState
from pages.shared import forms
from pages.shared.actions import do, pressed
from pages.shared.board import history_of
from pages.shared.job_view import job_view
from pages.shared.pictures import strip
from pages.shared.state import Current, escape, settle, show_error
from pages.shared.tasks import newest, start_job
from pages.shared.words import count, size

_PAGE = 12  # groups that are shown at a time
_BESIDE = 5  # pictures of a group beside the kept one that are shown
_LEFT_OUT = "duplicates_left_out"
_OWN = ("dataset", "config_key", "set_aside", "folder")


def duplicates_panel(now: Current, dataset: Dataset) -> None:
    """Draw the panel, folded."""
    box = st.expander("Duplicates", icon=":material/content_copy:", key="images_same", on_change="rerun")
    if box.open:
        with box:
            _panel(now, dataset)


def _panel(now: Current, dataset: Dataset) -> None:
    key = now.configuration.key if now.configuration else ""
    st.markdown(
        ":gray[Files that show the same picture. "
        + (
            "Embeddings confirm what looks alike.]"
            if key
            else "Embed the images to find pictures with a part cut off, and similar ones.]"
        )
    )
    try:
        request = forms.draw(
            DuplicatesRequest, key="duplicates", skip=_OWN, values={"dataset": dataset.id, "config_key": key}, columns=4
        )
    except KindredError as error:
        show_error(error)
        return
    job = newest(now.workspace, "duplicates", dataset)
    if job_view(job):
        return
    if pressed("Find duplicates", icon=":material/search:", type="primary" if job is None else "secondary"):
        values = request.model_dump(mode="json", exclude={"dataset", "set_aside", "folder"})
        start_job(now.workspace, "duplicates", "Finding duplicates", dataset, **values)
        settle(lambda: st.session_state.pop(_LEFT_OUT, None))
        st.rerun()
    if job is not None and job.state == "done":
        _groups(now, dataset, Found.read(job.folder / "duplicates.npz"))


def _groups(now: Current, dataset: Dataset, found: Found) -> None:
    """Draw the groups that are open, with what can be left out, and the button that sets the others aside."""
    history = history_of(now.workspace, dataset)
    table = load_images(now.workspace, dataset.id)
    state = labels_of_images(history, table.contents)
    groups = open_groups(found, table.contents, state.status)
    if found.unembedded:
        st.caption(f"{count(found.unembedded, 'image')} without an embedding: compared by their hashes only.")
    if not groups:
        st.success("No two files show the same." if not found.groups else "No duplicate is left.")
        return
    out: set[bytes] = st.session_state.setdefault(_LEFT_OUT, set())
    beside = np.concatenate([rows[1:] for _, rows, _, _ in groups])
    chosen = np.array([row for row in beside.tolist() if table.contents[row].tobytes() not in out], np.int64)
    mixed = sum(len(labels_within(state, rows)) > 1 for _, rows, _, _ in groups)
    with st.container(horizontal=True, vertical_alignment="center"):
        told = f"{count(len(groups), 'group')}, {count(len(beside), 'image')} beside the kept ones"
        saved = size(int(table.sizes[chosen].sum()))
        st.markdown(f"{told} :gray[({saved} chosen; the files stay where they are)]", width="content")
        st.button(
            f"Set {count(len(chosen), 'image')} aside",
            key="set_aside",
            icon=":material/inventory_2:",
            disabled=not len(chosen),
            help="They are unsorted on every clustering. One undo brings them back; what you labelled stays.",
            on_click=do,
            args=(partial(set_aside, history, state, chosen),),
        )
    if mixed:
        st.warning(f"In {count(mixed, 'group')} the images have different labels. Look at them before.")
    pages = -(-len(groups) // _PAGE)
    page = 1 if pages == 1 else int(st.number_input(f"Page of {pages:,}", 1, pages, 1, key="duplicates_page"))
    for group in groups[(page - 1) * _PAGE : page * _PAGE]:
        _group(table, state, group, out)


def _group(table: ImageTable, state: LabelState, group: tuple[Any, ...], out: set[bytes]) -> None:
    """Draw one group: the kept image, then the others with a tick each."""
    _, rows, levels, likeness = group
    labels = labels_within(state, rows)
    note = f" :orange[labels: {escape(', '.join(labels))}]" if len(labels) > 1 else ""
    st.markdown(f"**{count(len(rows), 'image')}**{note}")
    with st.container(horizontal=True):
        for place, row in enumerate(rows[: 1 + _BESIDE].tolist()):
            with st.container(width=190):
                strip([int(table.ids[row])], size=120)
                facts = f"{table.width[row]:,} x {table.height[row]:,}, {size(int(table.sizes[row]))}"
                st.caption(f"{escape(shown(table.paths[row]))}  \n{facts}")
                if not place:
                    st.markdown(":green[kept]")
                else:
                    _tick(table.contents[row].tobytes(), f"{LEVELS[levels[place]]}, {likeness[place]:.2f}", out)
    if len(rows) > 1 + _BESIDE:
        st.caption(f"and {count(len(rows) - 1 - _BESIDE, 'more image')}, set aside with these")


def _tick(content: bytes, words: str, out: set[bytes]) -> None:
    """Draw the tick of an image that would be set aside."""
    key = f"aside_{content.hex()}"

    def changed() -> None:
        (out.discard if st.session_state[key] else out.add)(content)

    st.checkbox(words, value=content not in out, key=key, on_change=changed)
