"""Small rows of thumbnails, by the catalog's integer ids; only numbers enter the HTML."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

_STYLE = (
    "display:inline-block;object-fit:contain;background:rgba(128,128,128,.12);border-radius:6px;"
    "margin:0 4px 4px 0;vertical-align:top"
)


def strip(ids: Iterable[int], *, size: int = 56, wrap: bool = True) -> None:
    """Show thumbnails side by side, `size` pixels square, whole images; without `wrap` one row is cut off."""
    cells = "".join(
        f'<img src="/thumb/{int(image)}" width="{size}" height="{size}" loading="lazy" alt="" style="{_STYLE}">'
        for image in ids
    )
    flow = "normal" if wrap else "nowrap;overflow:hidden"
    st.html(f'<div style="line-height:0;white-space:{flow}">{cells}</div>')
