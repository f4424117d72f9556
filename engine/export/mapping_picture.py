"""The picture of what clusters were taken for: one row per cluster, its samples nearest to the centre.

A sample's title is green where its true label is the cluster's, red where it is not, grey where nobody knows.
Drawn with Matplotlib, whose font has the letters of most scripts that a label may be written in.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageOps

from engine.labels.pseudo_labels import PseudoLabels
from engine.runs.figures import DPI, canvas, save_png, text_width

GREEN, RED, GREY, INK = "#1a7f37", "#cf222e", "#6e7781", "#1f2328"
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
    from matplotlib.patches import Rectangle

    shown = [at for at in (-result.cluster_size).argsort(kind="stable").tolist() if result.cluster_size[at]]
    shown = sorted(shown[:max_clusters])
    columns = min(samples_per_cluster, result.k)
    width, height = MARGIN + columns * (SIDE + GAP) + GAP, max(len(shown), 1) * (SIDE + TITLE + GAP) + GAP
    figure = canvas(width, height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")

    def write(left: int, top: int, text: str, colour: str, *, size: int = 12, room: int = MARGIN) -> None:
        line = _fit(text, room - GAP, size)
        axes.text(left, top, line, color=colour, size=size * 72 / DPI, va="top", parse_math=False)

    names = result.names.decode(result.cluster_label)
    for row, cluster in enumerate(shown):
        top = GAP + row * (SIDE + TITLE + GAP)
        name = names[cluster]
        write(GAP, top + TITLE, name or "no label", INK, size=15)
        write(GAP, top + TITLE + 22, f"cluster {cluster}, {result.cluster_size[cluster]:,} images", GREY)
        if name:
            sure = f"{result.cluster_confidence[cluster]:.0%} of {result.known_voters[cluster]} voters"
            write(GAP, top + TITLE + 40, sure, GREY)
        for column, sample in enumerate(result.voters[cluster, :columns].tolist()):
            if sample < 0:
                break
            left = MARGIN + column * (SIDE + GAP)
            true = truth[sample]
            colour = GREY if not true or not name else GREEN if true == name else RED
            write(left, top, true or "unknown", colour, room=SIDE + GAP)
            box = (left, left + SIDE, top + TITLE + SIDE, top + TITLE)
            axes.imshow(_tile(picture(sample)), extent=box, aspect="auto", interpolation="nearest")
            corner, line = (left + 1, top + TITLE + 1), 2 * 72 / DPI
            frame = Rectangle(corner, SIDE - 2, SIDE - 2, ec=colour, lw=line, fill=False, antialiased=False)
            axes.add_patch(frame)
    axes.set(xlim=(0, width), ylim=(height, 0))  # imshow narrows them
    save_png(path, figure)


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


def _fit(text: str, width: int, size: int) -> str:
    """Return the beginning of a line of text that fits into `width` pixels, with an ellipsis where it was cut."""
    text = " ".join(text.split())[: 4 * width // size]
    ends = range(len(text), 0, -1)
    lines = (text[:end] + ("" if end == len(text) else "...") for end in ends)
    return next((line for line in lines if text_width(line, size) <= width), "")
