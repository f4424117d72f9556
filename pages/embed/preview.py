"""A person's own images before and after they are fitted into the encoder's square, side by side at one height."""

from __future__ import annotations

from typing import Any

import streamlit as st
from PIL import Image

from engine.core.errors import KindredError
from engine.core.ids import to_bytes
from engine.core.workspace import Workspace
from engine.images.contents import read_content
from engine.images.decode import PreprocessSettings, decode_rgb, decode_square
from engine.images.depth import Range
from engine.images.ranges import load_ranges
from engine.images.tables import load_images
from pages.shared.state import Current

_HEIGHT = 128  # pixels of both pictures of a pair
_SHOWN = 3
_NARROWEST, _WIDEST = 0.6, 1.5  # times the height; a tower or a panorama is shown whole within it
_GROUND = (128, 128, 128, 40)  # reads as a quiet ground on light and dark


def preview(now: Current, settings: PreprocessSettings) -> None:
    """Show three images, those farthest from a square first, as they are and as the encoder sees them."""
    assert now.dataset is not None
    table = load_images(now.workspace, now.dataset.id)
    rows = sorted(range(len(table)), key=lambda row: -_stretch(int(table.width[row]), int(table.height[row])))
    ranges = load_ranges(now.workspace, now.dataset.id)
    pairs = []
    for content in to_bytes(table.contents[rows[: 3 * _SHOWN]]):
        pair = _before_after(now.workspace, content, settings.model_dump_json(), ranges)
        if pair is not None:
            pairs.append(pair)
        if len(pairs) == _SHOWN:
            break
    with st.container(horizontal=True, gap="large"):
        for before, after in pairs:
            with st.container(horizontal=True, gap="small", width="content"):
                st.image(before, "before", width=before.width)
                st.image(after, "as the encoder sees it", width=_HEIGHT)


@st.cache_data(show_spinner=False, max_entries=200)
def _before_after(
    _workspace: Workspace, content: bytes, preprocess: str, ranges: dict[str, Range]
) -> tuple[Image.Image, Any] | None:
    """Return the picture as it is and as the encoder will see it, at one height; None where it cannot be read.

    `ranges` are those of the data set, in which images of more than 8 bits are shown.
    """
    try:
        data = read_content(_workspace, content)
        picture = decode_rgb(data, 2 * _HEIGHT, ranges=ranges)
        after = decode_square(data, _HEIGHT, PreprocessSettings.model_validate_json(preprocess), ranges=ranges)
    except KindredError:
        return None
    scale = min(_HEIGHT / picture.height, _WIDEST * _HEIGHT / picture.width)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    width = max(size[0], round(_NARROWEST * _HEIGHT))
    before = Image.new("RGBA", (width, _HEIGHT), _GROUND)
    before.paste(picture.resize(size), ((width - size[0]) // 2, (_HEIGHT - size[1]) // 2))
    return before, after


def _stretch(width: int, height: int) -> float:
    return max(width, height) / max(1, min(width, height))
