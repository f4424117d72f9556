"""The wall of pictures that fills while the images are read."""

from __future__ import annotations

import streamlit as st

from engine.core.workspace import Workspace
from engine.images.datasets import Dataset
from engine.images.tables import newest_images

_MOST = 120


def growing_wall(workspace: Workspace, dataset: Dataset) -> None:
    """Show the pictures that were read last, again every second; the page itself ends it when the scan has ended."""

    @st.fragment(run_every=1.0)
    def wall() -> None:
        ids = newest_images(workspace, dataset.id, _MOST)
        cells = "".join(f'<img src="/thumb/{image}" alt="">' for image in ids)
        waiting = "" if ids else "<p>The first pictures come in a moment.</p>"
        st.html(f'<div class="k-wall">{cells}{waiting}</div>')

    wall()
