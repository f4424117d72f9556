"""What is said where images have changed in their pixels: how many, how many had a label, and what to do with them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from engine.core.errors import KindredError
from engine.core.ids import pack
from engine.images.identity import changed_images, forget_changed, keep_changed
from pages.shared.actions import pressed, say
from pages.shared.board import history_of
from pages.shared.state import Current, show_error
from pages.shared.words import count


def changed_panel(now: Current) -> None:
    """Say how many images changed in their pixels, with one button to keep their labels and one to let them go."""
    if now.dataset is None:
        return
    found = changed_images(now.workspace, now.dataset.id)
    if not found:
        return
    before = np.unique(pack([was for _, was, _ in found]))
    state = history_of(now.workspace, now.dataset).state(before, np.full(len(before), -1, np.int32), run="changed")
    labelled = sum(label is not None for label in state.labels)
    had = f" {labelled:,} of them had a label." if labelled else ""
    their, they = ("its", "it counts") if len(found) == 1 else ("their", "they count")
    st.warning(
        f"{count(len(found), 'image')} changed in {their} pixels, so {they} as new.{had}",
        icon=":material/published_with_changes:",
    )
    with st.container(horizontal=True):
        if pressed("Keep their labels", icon=":material/label:", help="Their clusters, too; Ctrl+Z on Label undoes it"):
            try:
                say(f"{keep_changed(now.workspace, now.dataset.id)}. Undo with Ctrl+Z on Label.")
            except KindredError as error:
                show_error(error)
            else:
                st.rerun()
        if pressed(
            "They are new images", type="tertiary", help="They stay without a label, and nothing is said any more"
        ):
            forget_changed(now.workspace, now.dataset.id)
            st.rerun()
