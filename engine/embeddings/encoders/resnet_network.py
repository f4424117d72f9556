"""ResNets that HaDis trains from the images themselves, and their file: a backbone that anyone can load again.

Up to 96 px the stem is one 3 x 3 convolution without pooling; above, the ordinary 7 x 7 stem. Source: He et
al., "Deep Residual Learning for Image Recognition", CVPR 2016. Torch is imported here, so import it when needed.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import WeightsError
from engine.core.files import TENSOR_DAMAGE, replace_file

FORMAT = "kindred-resnet-1"
SMALL_STEM = 96

# name: blocks of each stage, width of the first stage
ARCHITECTURES: dict[str, tuple[tuple[int, ...], int]] = {
    "resnet18": ((2, 2, 2, 2), 64),
    "resnet34": ((3, 4, 6, 3), 64),
    "resnet_small": ((2, 2, 2), 16),
}


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential()
            self.shortcut.add_module("conv", nn.Conv2d(channels, width, 1, stride, bias=False))
            self.shortcut.add_module("norm", nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, width, h / stride, w / stride)."""
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class ResNet(nn.Module):
    """A residual network without a classifier.

    timm's ResNet computes the same to the last bit, but names its layers otherwise: every backbone.pt, checkpoint and
    optimiser group would need a translation about as long as this network, and timm takes over a second to import.

    Parameters
    ----------
    blocks : sequence of int
        Residual blocks of each stage; every stage after the first halves the size and doubles the width.
    width : int
        Channels of the first stage.
    small_stem : bool
        3 x 3 stride 1 without pooling.

    Attributes
    ----------
    dimension : int
        Length of the feature.
    """

    def __init__(self, blocks: Sequence[int], width: int, *, small_stem: bool) -> None:
        super().__init__()
        stem = nn.Conv2d(3, width, 3, 1, 1, bias=False) if small_stem else nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.stem = stem
        self.stem_norm = nn.BatchNorm2d(width)
        self.pool: nn.Module = nn.Identity() if small_stem else nn.MaxPool2d(3, 2, 1)
        layers: list[nn.Module] = []
        channels = width
        for stage, count in enumerate(blocks):
            for i in range(count):
                layers.append(Block(channels, width * 2**stage, 2 if stage and not i else 1))
                channels = width * 2**stage
        self.blocks = nn.Sequential(*layers)
        self.dimension = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, side, side) -> (b, dimension): the mean over positions of the last stage."""
        x = self.pool(torch.relu(self.stem_norm(self.stem(x))))
        found: Tensor = self.blocks(x).mean(dim=(2, 3))
        return found


def build_resnet(name: str, side: int) -> ResNet:
    """Return a fresh network of ARCHITECTURES with the stem for images of `side` px, channels last."""
    blocks, width = ARCHITECTURES[name]
    network = ResNet(blocks, width, small_stem=side <= SMALL_STEM)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def projection_head(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Return Linear, batch norm, ReLU, Linear; the first without bias, because a norm follows."""
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    )


@dataclass
class Backbone:
    """A trained encoder with all that is needed to use it on new images.

    Attributes
    ----------
    name : str
        Key of ARCHITECTURES.
    side : int
        Pixels of the square it was trained on.
    mean, std : list of 3 floats
        Of the training images' channels, for pixel values in [0, 1].
    network : ResNet
    projector : nn.Sequential
        To the space in which its clusters lie.
    centers : (K, d) float32 tensor
        Unit-length cluster centres there.
    """

    name: str
    side: int
    mean: list[float]
    std: list[float]
    network: ResNet
    projector: nn.Sequential
    centers: Tensor

    @torch.no_grad()
    def features(self, images: Tensor, layer: str) -> Tensor:
        """Return (n, d) unit-length features of (n, side, side, 3) uint8 images on the network's device."""
        x = standardise(images, self.mean, self.std)
        found = self.network(x)
        if layer == "projection":
            found = self.projector(found)
        return nn.functional.normalize(found.float(), dim=1)


def standardise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return (n, 3, h, w) float32, channels last, of (n, h, w, 3) uint8."""
    x = images.permute(0, 3, 1, 2).float().div_(255)
    shift = torch.tensor(mean, device=x.device).view(1, 3, 1, 1)
    return (x - shift) / torch.tensor(std, device=x.device).view(1, 3, 1, 1)


def save_backbone(path: Path, backbone: Backbone) -> None:
    """Write a backbone atomically."""
    payload = {
        "format": FORMAT,
        "name": backbone.name,
        "side": backbone.side,
        "mean": backbone.mean,
        "std": backbone.std,
        "network": backbone.network.state_dict(),
        "projector": backbone.projector.state_dict(),
        "centers": backbone.centers.cpu(),
    }
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    replace_file(path, lambda file: file.write(buffer.getbuffer()))


def load_backbone(path: Path, *, device: str = "cpu") -> Backbone:
    """Read a backbone; nothing in the file is executed.

    Raises
    ------
    WeightsError
        Missing, damaged, or not a backbone that HaDis wrote.
    """
    if not path.is_file():
        raise WeightsError(
            f"There is no trained backbone at {path}.", "Train one with the method HaDis, then name its backbone.pt."
        )
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        backbone = _rebuild(loaded)
    except TENSOR_DAMAGE as error:
        raise WeightsError(
            f"{path.name} is not a backbone that HaDis wrote, or it is damaged.", "Train it again."
        ) from error
    backbone.network.to(device).eval()
    backbone.projector.to(device).eval()
    backbone.centers = backbone.centers.to(device)
    return backbone


def _rebuild(loaded: Mapping[str, Any]) -> Backbone:
    if not isinstance(loaded, dict) or loaded.get("format") != FORMAT:
        raise ValueError("another format")
    network = build_resnet(loaded["name"], loaded["side"])
    network.load_state_dict(loaded["network"])
    first, last = loaded["projector"]["0.weight"], loaded["projector"]["3.weight"]
    projector = projection_head(first.shape[1], first.shape[0], last.shape[0])
    projector.load_state_dict(loaded["projector"])
    return Backbone(
        loaded["name"], loaded["side"], loaded["mean"], loaded["std"], network, projector, loaded["centers"]
    )
