"""Embed: choose what turns images into vectors, see how it will see them, and what is cached already."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
import streamlit as st

from engine.core.errors import KindredError
from engine.core.ids import to_bytes
from engine.core.settings import Settings
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import (
    ENCODERS,
    EncoderEntry,
    default_encoder,
    encoder_of_vectors,
    find_encoder,
)
from engine.images.contents import read_content
from engine.images.decode import PreprocessSettings, decode_rgb, decode_square
from engine.images.tables import load_images
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.frame import first_do, heading, next_step
from pages.shared.job_view import job_view
from pages.shared.state import Current, choose, current, describe, escape, show_error
from pages.shared.tasks import newest, start_embedding

_HEIGHT = 112  # pixels of the preview
_WORDS = {"complete": "complete", "partial": "partly embedded", "stale": "out of date"}


def _cached(now: Current) -> None:
    if not now.configurations:
        return
    st.markdown("##### Cached embeddings")
    table = pd.DataFrame(
        [
            {
                "in use": now.configuration is not None and item.key == now.configuration.key,
                "embedding": describe(item),
                "images": f"{item.have:,} of {item.want:,}",
                "state": _WORDS[item.state],
                "why": item.reason,
                "length": item.dimension,
                "made": pd.Timestamp(item.made, unit="s") if item.made else None,
            }
            for item in now.configurations
        ]
    )
    event = st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        key="cached",
        column_config={"made": st.column_config.DatetimeColumn(format="distance")},
    )
    chosen = event["selection"]["rows"]
    if chosen:
        item = now.configurations[chosen[0]]
        if now.configuration is None or item.key != now.configuration.key:
            choose(embedding=item.key, run=None)
            st.rerun()


def _preview(now: Current, settings: PreprocessSettings) -> None:
    """Show the person's own images before and after."""
    assert now.dataset is not None
    table = load_images(now.workspace, now.dataset.id)
    if len(table) == 0:
        return
    odd = sorted(range(len(table)), key=lambda row: -_stretch(int(table.width[row]), int(table.height[row])))[:3]
    rows = list(dict.fromkeys([*odd, 0, len(table) // 3, len(table) // 2, len(table) - 1]))[:7]
    contents = to_bytes(table.contents[rows])
    pairs = [_before_after(now.workspace, content, settings.model_dump_json()) for content in contents]
    shown = [pair for pair in pairs if pair[0] is not None]
    st.caption("Before")
    st.image([before for before, _ in shown], width="content")
    st.caption("As the encoder sees them")
    st.image([after for _, after in shown], width="content")


@st.cache_data(show_spinner=False, max_entries=200)
def _before_after(_workspace: Workspace, content: bytes, preprocess: str) -> tuple[Any, Any]:
    """Return the picture as it is and as the encoder will see it, small; None twice where it cannot be read."""
    try:
        data = read_content(_workspace, content)
        before = decode_rgb(data, 2 * _HEIGHT)
        before.thumbnail((10 * _HEIGHT, _HEIGHT))
        return before, decode_square(data, _HEIGHT, PreprocessSettings.model_validate_json(preprocess))
    except KindredError:
        return None, None


def _stretch(width: int, height: int) -> float:
    return max(width, height) / max(1, min(width, height))


def _form(now: Current) -> tuple[EncoderEntry, Settings, PreprocessSettings, Any]:
    assert now.dataset is not None
    names = [entry.name for entry in ENCODERS.values() if entry.takes == "images"]
    if now.dataset.kind == "vectors":
        entry = encoder_of_vectors()
        st.markdown(f":gray[{entry.sentence}]")
        return entry, entry.settings_class(), PreprocessSettings(), st.container(horizontal=True)
    name = st.segmented_control(
        "Encoder",
        names,
        default=default_encoder(now.dataset.holds).name,
        required=True,
        format_func=lambda key: ENCODERS[key].title,
        key=f"encoder for {now.dataset.id}",
        persist_state="session",
    )
    entry = find_encoder(str(name))
    st.markdown(f":gray[{entry.sentence}]")
    settings = forms.draw(entry.settings_class, key=f"encoder_{entry.name}")
    actions = st.container(horizontal=True)
    st.markdown("##### Fitting images into a square", help="What happens to images that are not square")
    preprocess = forms.draw(PreprocessSettings, key="preprocess")
    with st.expander("Before and after, on your own images", expanded=True):
        _preview(now, preprocess)
    return entry, settings, preprocess, actions


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Embed", "Turn each image into a vector. An image that was embedded once is never embedded again.")
    if now.dataset is None or now.images == 0:
        first_do(now, "Choose images first.", "pages/images/page.py", "Images")
        return
    running = job_view(newest(now.workspace, "embed", now.dataset))
    try:
        entry, settings, preprocess, actions = _form(now)
    except KindredError as error:
        show_error(error)
        return
    with actions:
        first: Literal["primary", "secondary"] = "primary" if now.configuration is None else "secondary"
        if pressed("Embed", type=first, disabled=running, icon=":material/play_arrow:"):
            start_embedding(now.workspace, now.dataset, entry, settings, preprocess)
            st.rerun()
        if now.configuration is not None:
            next_step(now, "pages/cluster/page.py", "Cluster")
            if pressed(
                "Embed again",
                type="tertiary",
                icon=":material/refresh:",
                disabled=running,
                help="Makes every vector anew; the old ones serve until the new ones are complete",
            ):
                start_embedding(now.workspace, now.dataset, entry, settings, preprocess, force=True)
                st.rerun()
    if now.configuration is not None:
        st.caption(f"In use: {escape(describe(now.configuration))}")
    _cached(now)


page()
