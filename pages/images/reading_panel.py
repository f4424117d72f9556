"""What of a folder is read: the settings, and what the last scan left alone by them."""

from __future__ import annotations

import streamlit as st

from engine.core.errors import KindredError
from engine.images.datasets import Dataset
from engine.images.reading import FolderSettings
from engine.images.report import ScanReport
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.state import Current, escape, show_error
from pages.shared.tasks import start_scan


def reading_panel(now: Current, dataset: Dataset, found: ScanReport) -> None:
    """Say what is beside the images, and let the person choose what is read."""
    for sentence in (*found.told, *found.sentences):
        st.caption(escape(sentence))
    box = st.expander("What is read", icon=":material/tune:", key="images_reading", on_change="rerun")
    if not box.open:
        return
    with box:
        kept = FolderSettings.of(dataset.options)
        try:
            chosen = forms.draw(FolderSettings, key=f"reading_{dataset.id}", values=kept.model_dump(), columns=2)
        except KindredError as error:
            show_error(error)
            return
        if pressed("Read the folder so", disabled=chosen == kept, icon=":material/refresh:"):
            start_scan(now.workspace, dataset, reading=chosen)
            st.rerun()
