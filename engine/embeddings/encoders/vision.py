"""What CLIP and DINO share: settings, the way of a uint8 batch through a torch model, device and precision.

Images arrive as uint8 and are normalised on the device; on a GPU the model runs in half precision.
torch is imported when a model is built, never with this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import StringConstraints

from engine.core.device import choose_device
from engine.core.errors import InputError
from engine.core.settings import Settings, setting
from engine.embeddings.encoders.registry import KnownModel

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
ModelName = Annotated[str, StringConstraints(min_length=1)]
_BATCH = {"cuda": 256, "mps": 64, "cpu": 16}


class VisionSettings(Settings):
    """What every learned encoder lets a person choose."""

    resolution: int | None = setting(
        None, "Edge of the square that the model sees, in pixels; the trained one when empty.", ge=32, le=1024, step=14
    )
    normalize: bool = setting(True, "Scale every vector to length one.", advanced=True)
    precision: Literal["auto", "float32"] = setting(
        "auto", "auto computes in half precision on a GPU; float32 is slower and a little more exact.", advanced=True
    )
    batch_size: int | None = setting(
        None, "Images at a time; found to fit the memory when empty.", ge=1, le=4096, advanced=True, runtime=True
    )


class VisionEncoder:
    """A torch model with a face that the pipeline knows.

    A subclass sets what `_ready` takes and implements `_forward`. Pickling keeps the settings and the device; the model
    is loaded again where it is unpickled.
    """

    settings_class: ClassVar[type[VisionSettings]] = VisionSettings

    side: int
    dimension: int
    revision: str
    device: str
    batch_size: int
    notes: list[str]

    def __init__(self, settings: VisionSettings | None = None, *, device: str = "auto") -> None:
        self.settings = settings or self.settings_class()
        self.device = choose_device(device)
        self.notes = []
        self.batch_size = self.settings.batch_size or _BATCH.get(self.device.split(":")[0], 16)

    def __reduce__(self) -> tuple[partial[Self], tuple[VisionSettings]]:
        return partial(type(self), device=self.device), (self.settings,)

    def _ready(self, model: Any, revision: str, statistics: tuple[Sequence[float], Sequence[float]]) -> None:  # noqa: ANN401
        """Take the loaded model; `side` must be known. A pass over one empty image gives the dimension."""
        import torch

        self.revision = revision
        self._model = model.eval().requires_grad_(False).to(self.device)
        mean, std = (torch.tensor(values, device=self.device).reshape(1, 3, 1, 1) for values in statistics)
        self._scale, self._shift = 1 / (255 * std), -mean / std
        self.dimension = int(self.encode(np.zeros((1, self.side, self.side, 3), dtype=np.uint8)).shape[1])

    def _forward(self, pixels: Any) -> Any:  # noqa: ANN401 - torch is not imported here
        """Return (n, d) of (n, 3, side, side) normalised float32 pixels on the device."""
        raise NotImplementedError

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (n, dimension) float32 vectors of (n, side, side, 3) uint8 images, unit length unless told not to."""
        import torch

        with torch.inference_mode(), self._autocast():
            pixels = torch.from_numpy(batch).to(self.device, non_blocking=True)
            pixels = pixels.permute(0, 3, 1, 2).to(torch.float32).mul_(self._scale).add_(self._shift)
            vectors = self._forward(pixels).float()
            if self.settings.normalize:
                vectors = torch.nn.functional.normalize(vectors, dim=1)
            found: NDArray[np.float32] = vectors.cpu().numpy()
        return found

    def _autocast(self) -> Any:  # noqa: ANN401 - a torch context
        import torch

        kind = self.device.split(":")[0]
        if kind == "cpu" or self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(kind, dtype=torch.float16)

    def release_memory(self) -> None:
        """Give cached device memory back, after it ran out."""
        import torch

        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _check_patches(self, patch: int | None) -> None:
        """Note pixels that a resolution leaves over at the edge because patches do not divide it."""
        if patch and self.side % patch:
            self.notes.append(
                f"{self.side} pixels are not a multiple of the model's patches of {patch}: the last "
                f"{self.side % patch} rows and columns are not seen."
            )


class ModelEncoder(VisionEncoder):
    """A vision encoder whose setting `model` takes any model of its kind: what an entry calls `any_model`."""

    @staticmethod
    def reads_model(model: str) -> bool:
        """Return whether this encoder reads a model that is not in its list: by its files if here, else by name."""
        raise NotImplementedError

    @staticmethod
    def model_values(model: str) -> dict[str, str]:
        """Return the settings that name a model."""
        return {"model": model}

    @staticmethod
    def list_models() -> list[KnownModel]:
        """Return every model that can be chosen by name, where the library has such a list; it may import torch."""
        return []


def fixed_resolution(model: str, side: int, wanted: int, why: str) -> InputError:
    """Return the refusal of a resolution that a model cannot take."""
    return InputError(
        f"{model} takes images of {side} pixels only, not {wanted}: {why}.",
        f"Leave the resolution empty or set it to {side}, or choose another model.",
    )


def statistics_of(config: dict[str, Any], default: tuple[Any, Any]) -> tuple[Sequence[float], Sequence[float]]:
    """Return (mean, std) of a preprocessor_config.json or open_clip preprocess_cfg, else the default."""
    mean = config.get("image_mean") or config.get("mean") or default[0]
    std = config.get("image_std") or config.get("std") or default[1]
    return mean, std
