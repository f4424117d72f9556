"""The built-in encoder: shape, colour and texture without training and without a download.

Three blocks, each of length one, then weighted: histograms of oriented gradients (shape), a grid of Lab colours
(colour and layout) and a grid of local binary patterns (texture).

Why these (benchmarks/bench_descriptor.py; leave-one-out 1-NN accuracy by cosine; speed is CPU time of one core,
decoding left out, on a machine that others used too):

| encoder                | digits | clothing_341 | sign_digits | numbers | images/s |
|------------------------|--------|--------------|-------------|---------|----------|
| descriptor (all three) |  .9933 |        .5249 |       .8162 |     793 |      492 |
| shape alone (HOG)      |  .9889 |        .5220 |       .8249 |     441 |      788 |
| colour alone           |  .9883 |        .3812 |       .7076 |     192 |    6,320 |
| texture alone (LBP)    |  .9260 |        .3284 |       .4277 |     160 |    1,348 |
| scattering (kymatio)   |  .9855 |        .5337 |       .8715 |  13,888 |       45 |

Scattering (J = 3, L = 8, two orders, logarithms less each channel's mean, the best of seven variants) sees more on
one set of three, but is ten times slower and seventeen times larger, so kymatio is no dependency. Cells of 9 pixels
in blocks of 3 x 3, summed, came out of some 120 settings of the three blocks; colour and texture add little on these
sets and are kept, at low weight, for collections that differ in colour or material.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import unit

SIDE = 64
REVISION = "descriptor-1"  # changes whenever a vector would
_CELL, _CELLS, _BLOCK = 9, 7, 3
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

Block = NDArray[np.float32]


class DescriptorSettings(Settings):
    """How much each block counts."""

    colour_weight: float = setting(0.5, "How much colour counts beside shape.", ge=0, le=2, step=0.1)
    texture_weight: float = setting(0.2, "How much texture counts beside shape.", ge=0, le=2, step=0.1)


class Descriptor:
    """Shape, colour and texture of an image as one unit vector.

    Parameters
    ----------
    settings : DescriptorSettings, optional
    device : str
        Ignored; it computes on the CPU.

    References
    ----------
    Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.
    Ojala, Pietikainen and Maenpaa, "Multiresolution Gray-Scale and Rotation Invariant Texture Classification with
    Local Binary Patterns", PAMI 2002.
    """

    settings_class = DescriptorSettings
    side = SIDE
    dimension = 793
    revision = REVISION
    device = "cpu"
    batch_size = 64

    def __init__(self, settings: DescriptorSettings | None = None, *, device: str = "cpu") -> None:
        self.settings = settings or DescriptorSettings()
        self.notes: list[str] = []

    @staticmethod
    def revision_of(settings: DescriptorSettings, *, progress: Progress = SILENT, download: bool = True) -> str:
        """Return the version of the algorithm; there are no weights."""
        return REVISION

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (n, 793) float32 unit vectors of (n, 64, 64, 3) uint8 images."""
        grey = batch.astype(np.float32) @ _LUMA
        blocks = [
            unit(_shape(grey)),
            self.settings.colour_weight * unit(_colour(batch)),
            self.settings.texture_weight * unit(_texture(grey)),
        ]
        return unit(np.concatenate(blocks, axis=1))


def _shape(grey: Block) -> Block:
    """Histograms of oriented gradients, (n, 441), less their mean; without it all images look alike.

    Every cell is normalised once in each block that holds it, and these are summed (Felzenszwalb et al.,
    "Object Detection with Discriminatively Trained Part-Based Models", PAMI 2010): a third of the numbers, and
    cells in the middle count more than those at the edge.
    """
    from skimage.feature import hog

    cell, block, places = (_CELL, _CELL), (_BLOCK, _BLOCK), _CELLS - _BLOCK + 1
    found = np.stack([hog(image, 9, cell, block, "L2-Hys") for image in grey]).astype(np.float32)
    blocks = found.reshape(-1, places, places, _BLOCK, _BLOCK, 9)
    cells = np.zeros((len(grey), _CELLS, _CELLS, 9), dtype=np.float32)
    for row in range(_BLOCK):
        for column in range(_BLOCK):
            cells[:, row : row + places, column : column + places] += blocks[:, :, :, row, column]
    flat = cells.reshape(len(grey), -1)
    return flat - flat.mean(axis=1, keepdims=True)


def _colour(batch: NDArray[np.uint8], grid: int = 8) -> Block:
    """Lab colours of a grid of cells, (n, 192), less the image's mean colour."""
    from skimage.color import rgb2lab

    cell = SIDE // grid
    means = batch.reshape(len(batch), grid, cell, grid, cell, 3).mean(axis=(2, 4), dtype=np.float32) / 255
    lab = rgb2lab(means).astype(np.float32).reshape(len(batch), grid * grid, 3)
    return (lab - lab.mean(axis=1, keepdims=True)).reshape(len(batch), -1)


def _texture(grey: Block, grid: int = 4) -> Block:
    """Square roots of the shares of the ten uniform local binary patterns in a grid of cells, (n, 160)."""
    from skimage.feature import local_binary_pattern

    patterns = np.stack([local_binary_pattern(image.astype(np.uint8), 8, 1, "uniform") for image in grey])
    cell = SIDE // grid
    codes = patterns.astype(np.int64).reshape(len(grey), grid, cell, grid, cell).transpose(0, 1, 3, 2, 4)
    owner = np.arange(len(grey) * grid * grid).repeat(cell * cell) * 10
    counts = np.bincount(owner + codes.ravel(), minlength=len(grey) * grid * grid * 10)
    return np.sqrt(counts.reshape(len(grey), -1) / np.float32(cell * cell)).astype(np.float32)
