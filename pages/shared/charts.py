"""Charts as every screen shows them: over the whole width, without margins and tool bar, in the house's colours."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

BLUE = "#2F6FED"  # what the screen is about
AMBER = "#B7791F"  # what it is compared with, or what stands out
GREY = "#9AA0A8"  # the background: the whole, or chance


def draw(figure: go.Figure, alt: str, *, height: int) -> None:
    """Show a figure; `alt` says what it shows to those who do not see it."""
    figure.update_layout(height=height, margin={"l": 0, "r": 0, "t": 24, "b": 0})
    st.plotly_chart(figure, width="stretch", config={"displayModeBar": False}, alt=alt)
