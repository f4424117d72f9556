"""The first screen: open a folder, one of three sample sets with pictures, or what was open before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from components.drop.face import drop_zone
from engine.core.errors import KindredError
from engine.images.datasets import Dataset, add_benchmark, list_datasets
from engine.images.sets.registry import BENCHMARKS, SAMPLES, Benchmark
from pages.images.folder_browser import folder_browser
from pages.images.known_elsewhere import offer
from pages.shared.actions import pressed
from pages.shared.covers import cover, cover_ids
from pages.shared.samples import open_sample, prepare_in_background, sample_titles
from pages.shared.state import Current, choose, escape, show_error

Add = Callable[[Current, Dataset], None]
AddPath = Callable[[Current, str], None]
_RECENT = 8


def first_screen(now: Current, add: Add, add_path: AddPath) -> None:
    """Draw the screen; `add` opens a data set, `add_path` a folder or a file of vectors."""
    offer(now, add)
    prepare_in_background(now.workspace)
    with st.container(key="drop_zone", border=True):
        st.markdown("## :material/folder_open: Open a folder of images")
        st.markdown(":gray[With all its subfolders. Nothing in it is changed, moved or uploaded.]")
        with st.form("folder", border=False):
            with st.container(key="drop_row", horizontal=True, vertical_alignment="bottom"):
                text = st.text_input(
                    "Folder, or a file of vectors (.npz, .npy, .parquet)",
                    placeholder="Drag or paste its path here: /home/me/photographs",
                    key="new_path",
                    label_visibility="collapsed",
                )
                wanted = pressed("Read this folder", button=st.form_submit_button, type="primary")
        if pressed("Browse folders", icon=":material/folder:"):
            folder_browser(lambda path: add_path(now, path))
        dropped = drop_zone("drop", around="drop_zone")
        if wanted and text.strip():
            add_path(now, text.strip().strip("'\""))
        elif dropped:
            add_path(now, dropped)
    st.markdown("##### Or look at a sample set, ready to explore")
    with st.container(key="samples", horizontal=True):
        for name, (title, sentence) in sample_titles().items():
            with st.container(key=f"sample_{name}"):
                st.html(f'<img class="k-sample" src="/sample/{name}" alt="">')
                if pressed(title, key=f"open_{name}", type="tertiary"):
                    open_sample(now.workspace, name)
                st.caption(sentence)
    _recent(now)
    with st.expander("Benchmark sets", icon=":material/dataset:"):
        _benchmark_form(now, {name: entry for name, entry in BENCHMARKS.items() if name not in SAMPLES}, add)


def _recent(now: Current) -> None:
    """Offer what was open before, by its looks."""
    recent = [item for item in list_datasets(now.workspace) if now.dataset is None or item.id != now.dataset.id]
    if not recent:
        return
    st.markdown("##### Recent")
    with st.container(key="recents", horizontal=True):
        for item in recent[:_RECENT]:
            with st.container(key=f"recent_card_{item.id}"):
                cover(cover_ids(now.workspace, item))
                if pressed(escape(item.name), type="tertiary", key=f"recent_{item.id}"):
                    choose(data=item.id)
                    st.session_state["adding"] = False
                    st.rerun()


def _benchmark_form(now: Current, entries: dict[str, Benchmark], add: Add) -> None:
    name = st.selectbox("Set", list(entries), format_func=lambda key: entries[key].title)
    st.caption(entries[name].sentence)
    root = st.text_input(
        "Folder where it lies, or where to put it", key="data_root", placeholder="leave empty for cache/"
    )
    if pressed("Open this set"):
        try:
            add(now, add_benchmark(now.workspace, name, data_root=Path(root).expanduser() if root else None))
        except KindredError as error:
            show_error(error)
