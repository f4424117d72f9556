"""Random views of images, drawn for a whole batch at once on the device: crop, flip, colour jitter, grayscale.

Every random number comes from a CPU generator, so views are equal on every device and a resumed run
draws the same ones. Crops resample with antialiasing as two small matrix products for each image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GRAY = (0.2989, 0.587, 0.114)
TRIES = 10


@dataclass(frozen=True)
class Augmentation:
    """How strong the views differ; the defaults are the paper's.

    Attributes
    ----------
    side : int
        Pixels of a view.
    smallest_crop : float
        Share of the area that a crop keeps at least.
    flip : bool
        Mirror left and right with probability 1/2.
    jitter : float
        Strength of (brightness .4, contrast .4, saturation .4, hue .1) x jitter, with probability .8.
    grayscale : float
        Probability of losing the colour.
    gray : bool
        The images have no colour, so saturation, hue and grayscale are left out.
    """

    side: int
    mean: Sequence[float]
    std: Sequence[float]
    smallest_crop: float = 0.08
    flip: bool = True
    jitter: float = 1.0
    grayscale: float = 0.2
    gray: bool = False

    def views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return one random view of each of (b, h, w, 3) uint8 images: (b, 3, side, side) float32, channels last."""
        count, height, width = images.shape[:3]
        boxes = random_boxes(count, height, width, self.smallest_crop, generator)
        flips = torch.rand(count, generator=generator) < 0.5 if self.flip else torch.zeros(count, dtype=torch.bool)
        x = resize(images, boxes, self.side, flips)
        if self.jitter > 0:
            x = self._jittered(x, generator)
        if self.grayscale > 0 and not self.gray:
            drop = torch.rand(count, generator=generator) < self.grayscale
            x = torch.where(drop.to(x.device).view(-1, 1, 1, 1), luminance(x), x)
        return self._standardised(x)

    def plain(self, images: Tensor) -> Tensor:
        """Return the images as they are, resized where needed: (b, 3, side, side) float32, channels last."""
        count, height, width = images.shape[:3]
        boxes = torch.tensor([[0, 0, height, width]]).expand(count, 4)
        if (height, width) == (self.side, self.side):
            return self._standardised(images.permute(0, 3, 1, 2).float().div_(255))
        return self._standardised(resize(images, boxes, self.side, torch.zeros(count, dtype=torch.bool)))

    def _standardised(self, x: Tensor) -> Tensor:
        mean, std = (torch.tensor(v, device=x.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return ((x - mean) / std).contiguous(memory_format=torch.channels_last)

    def _jittered(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Apply the four changes in an order drawn for the batch, strengths drawn for each image."""
        count = len(x)
        amounts = torch.rand(4, count, generator=generator) * 2 - 1
        chosen = torch.rand(count, generator=generator) < 0.8
        strength = self.jitter * torch.tensor([[0.4], [0.4], [0.4], [0.1]])
        amounts = (amounts * strength * chosen).to(x.device).view(4, count, 1, 1, 1)
        for kind in torch.randperm(4, generator=generator).tolist():
            if kind == 0:
                x = (x * (1 + amounts[0])).clamp_(0, 1)
            elif kind == 1:
                x = blend(x, luminance(x).mean(dim=(2, 3), keepdim=True), amounts[1])
            elif kind == 2 and not self.gray:
                x = blend(x, luminance(x), amounts[2])
            elif kind == 3 and not self.gray:
                x = shift_hue(x, amounts[3].view(-1))
        return x


def random_boxes(count: int, height: int, width: int, smallest: float, generator: torch.Generator) -> Tensor:
    """Draw crops of `smallest` to 1 of the area with aspect ratio 3/4 to 4/3, as RandomResizedCrop does.

    Returns
    -------
    (count, 4) int64: top, left, height, width. The whole image where ten draws do not fit.
    """
    area = height * width * (smallest + (1 - smallest) * torch.rand(count, TRIES, generator=generator))
    ratio = torch.exp((torch.rand(count, TRIES, generator=generator) * 2 - 1) * math.log(4 / 3))
    widths, heights = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    any_fits = fits.any(dim=1)
    h = torch.where(any_fits, heights.gather(1, first)[:, 0], torch.tensor(float(height)))
    w = torch.where(any_fits, widths.gather(1, first)[:, 0], torch.tensor(float(width)))
    at = torch.rand(2, count, generator=generator)
    top, left = (at[0] * (height - h + 1)).floor(), (at[1] * (width - w + 1)).floor()
    return torch.stack([top, left, h, w], dim=1).long()


def resampling(start: Tensor, length: Tensor, size: int, side: int) -> Tensor:
    """Return (b, side, size) weights that resize pixels start..start+length-1 of `size` to `side`, antialiased."""
    scale = (length.float() / side)[:, None, None]
    support = scale.clamp_min(1.0)
    pixel = torch.arange(size, device=start.device).float()[None, None, :]
    begin, end = start.float()[:, None, None], (start + length).float()[:, None, None]
    center = begin + (torch.arange(side, device=start.device).float()[None, :, None] + 0.5) * scale
    weights = (1 - (pixel + 0.5 - center).abs() / support).clamp_min(0)
    weights = weights * ((pixel >= begin) & (pixel < end))
    return weights / weights.sum(dim=2, keepdim=True).clamp_min(1e-12)


def resize(images: Tensor, boxes: Tensor, side: int, flips: Tensor) -> Tensor:
    """Cut each image's box, resize it to (side, side), mirror where `flips`.

    Parameters
    ----------
    images : (b, h, w, 3) uint8
    boxes : (b, 4) int64
        Top, left, height, width, on the CPU.
    flips : (b,) bool

    Returns
    -------
    (b, 3, side, side) float32 in [0, 1]
    """
    count, height, width = images.shape[:3]
    boxes, flips = boxes.to(images.device), flips.to(images.device)
    rows = resampling(boxes[:, 0], boxes[:, 2], height, side)
    columns = resampling(boxes[:, 1], boxes[:, 3], width, side)
    columns = torch.where(flips[:, None, None], columns.flip(1), columns)
    x = images.float().div_(255)
    x = torch.bmm(rows, x.view(count, height, width * 3)).view(count, side, width, 3)
    x = torch.matmul(columns[:, None], x)  # (b, 1, side, w) @ (b, side, w, 3)
    return x.permute(0, 3, 1, 2)


def luminance(x: Tensor) -> Tensor:
    """Return (b, 1, h, w) brightness of (b, 3, h, w)."""
    return GRAY[0] * x[:, 0:1] + GRAY[1] * x[:, 1:2] + GRAY[2] * x[:, 2:3]


def blend(x: Tensor, other: Tensor, amount: Tensor) -> Tensor:
    """Return (1 + amount) x - amount other, clamped to [0, 1]."""
    return (x + amount * (x - other)).clamp_(0, 1)


def shift_hue(x: Tensor, amount: Tensor) -> Tensor:
    """Turn the hue of (b, 3, h, w) images in [0, 1] by `amount` (b,) of a full circle."""
    top, bottom = x.amax(dim=1), x.amin(dim=1)
    chroma = top - bottom
    safe = chroma.clamp_min(1e-12)
    red, green, blue = x.unbind(dim=1)
    hue = torch.where(
        top == red, (green - blue) / safe, torch.where(top == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    )
    hue = hue + 6 * amount.view(-1, 1, 1)
    # f(n) = v - c max(0, min(k, 4 - k, 1)), k = (n + hue) mod 6, for n = 5, 3, 1
    parts = []
    for offset in (5, 3, 1):
        k = (offset + hue) % 6
        parts.append(top - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(parts, dim=1)
