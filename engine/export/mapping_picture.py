"""The picture of what clusters were taken for: one row per cluster, its samples nearest to the centre.

A sample's title is green where its true label is the cluster's, red where it is not, grey where nobody knows.
Drawn with Pillow, so that it needs nothing that the app does not have.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from engine.core.files import replace_file
from engine.labels.pseudo_labels import PseudoLabels

GREEN, RED, GREY, INK = (26, 127, 55), (207, 34, 46), (110, 119, 129), (31, 35, 40)
SIDE, GAP, TITLE, MARGIN = 96, 8, 18, 200


def draw_mapping(
    path: Path,
    result: PseudoLabels,
    truth: Sequence[str | None],
    picture: Callable[[int], bytes | None],
    *,
    max_clusters: int = 20,
    samples_per_cluster: int = 5,
) -> None:
    """Write the grid as PNG.

    Parameters
    ----------
    path : Path
        Where to.
    result : PseudoLabels
        Its `voters` are shown.
    truth : sequence of str or None
        True label of every row that was voted over.
    picture : function of a row
        Encoded image bytes, such as a thumbnail; None draws an empty frame.
    max_clusters, samples_per_cluster : int
        The largest clusters are shown.
    """
    shown = [at for at in (-result.cluster_size).argsort(kind="stable").tolist() if result.cluster_size[at]]
    shown = sorted(shown[:max_clusters])
    columns = min(samples_per_cluster, result.k)
    size = (MARGIN + columns * (SIDE + GAP) + GAP, max(len(shown), 1) * (SIDE + TITLE + GAP) + GAP)
    grid = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(grid)
    font, bold = ImageFont.load_default(12), ImageFont.load_default(15)
    names = result.names.decode(result.cluster_label)
    for row, cluster in enumerate(shown):
        top = GAP + row * (SIDE + TITLE + GAP)
        name = names[cluster]
        draw.text((GAP, top + TITLE), _fit(name or "no label", bold, MARGIN - 2 * GAP), fill=INK, font=bold)
        about = f"cluster {cluster}, {result.cluster_size[cluster]:,} images"
        draw.text((GAP, top + TITLE + 22), about, fill=GREY, font=font)
        if name:
            sure = f"{result.cluster_confidence[cluster]:.0%} of {result.known_voters[cluster]} voters"
            draw.text((GAP, top + TITLE + 38), sure, fill=GREY, font=font)
        for column, sample in enumerate(result.voters[cluster, :columns].tolist()):
            if sample < 0:
                break
            left = MARGIN + column * (SIDE + GAP)
            true = truth[sample]
            colour = GREY if not true or not name else GREEN if true == name else RED
            draw.text((left, top), _fit(true or "unknown", font, SIDE), fill=colour, font=font)
            grid.paste(_tile(picture(sample)), (left, top + TITLE))
            draw.rectangle((left, top + TITLE, left + SIDE - 1, top + TITLE + SIDE - 1), outline=colour, width=2)
    replace_file(path, lambda file: grid.save(file, "PNG", optimize=True))


def _tile(data: bytes | None) -> Image.Image:
    """Return the image letterboxed into a tile; an empty tile where there is none or it cannot be read."""
    tile = Image.new("RGB", (SIDE, SIDE), (234, 238, 242))
    if data:
        try:
            with Image.open(io.BytesIO(data)) as image:
                small = ImageOps.contain(image.convert("RGB"), (SIDE, SIDE))
        except (OSError, ValueError, Image.DecompressionBombError):
            return tile
        tile.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return tile


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return the beginning of a line of text that fits, with an ellipsis where it was cut."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    text = text[:200]
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
