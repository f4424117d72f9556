"""The encoder that HaDis trained on your own images: its backbone.pt turns images into vectors like any other encoder.

With it the map, neighbours, labels and every other method work on images that CLIP and DINO have never seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.core.device import choose_device
from engine.core.errors import InputError, WeightsError
from engine.core.files import content_id
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings, setting

if TYPE_CHECKING:
    from engine.embeddings.encoders.resnet_network import Backbone


class ResnetSettings(Settings):
    """Settings of a backbone trained by HaDis."""

    checkpoint: str = setting("", "The backbone.pt that a HaDis run wrote.", label="Trained backbone")
    layer: Literal["backbone", "projection"] = setting(
        "backbone",
        "backbone: general features; projection: the space in which HaDis forms its clusters.",
        advanced=True,
    )
    batch_size: int = setting(256, "Images encoded at once.", ge=1, le=8192, runtime=True, advanced=True)


class Resnet:
    """A trained HaDis backbone as an encoder.

    Parameters
    ----------
    settings : ResnetSettings
    device : str
        "auto", "cpu", "cuda", "mps".

    Raises
    ------
    WeightsError
        No checkpoint named, missing, damaged, or not a HaDis backbone.
    """

    settings_class = ResnetSettings

    def __init__(self, settings: ResnetSettings | None = None, *, device: str = "auto") -> None:
        self.settings = settings if settings is not None else ResnetSettings()
        self.revision = self.revision_of(self.settings)
        self.notes: list[str] = []
        self.batch_size: int = self.settings.batch_size
        self.device = choose_device(device)
        self._backbone = self._load()
        self.side = self._backbone.side
        self.dimension = int(
            self._backbone.network.dimension if self.settings.layer == "backbone" else self._backbone.centers.shape[1]
        )

    @staticmethod
    def revision_of(settings: ResnetSettings, *, progress: Progress = SILENT, download: bool = True) -> str:
        """Return the hash of the backbone's file, so that another training never answers for this one.

        Raises
        ------
        WeightsError
            No checkpoint named, or it is missing.
        """
        if not settings.checkpoint:
            raise WeightsError(
                "No trained backbone was named.", "Train one with the method HaDis, then name its backbone.pt."
            )
        try:
            return content_id(Path(settings.checkpoint).read_bytes()).hex()
        except OSError as error:
            raise WeightsError(
                f"There is no trained backbone at {settings.checkpoint}.",
                "Train one with the method HaDis, then name its backbone.pt.",
            ) from error

    def _load(self) -> Backbone:
        from engine.embeddings.encoders.resnet_network import load_backbone

        return load_backbone(Path(self.settings.checkpoint), device=self.device)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_backbone"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._backbone = self._load()

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (n, dimension) unit-length float32 vectors of (n, side, side, 3) uint8 RGB images.

        Raises
        ------
        InputError
            Images of another size.
        """
        import torch

        if batch.ndim != 4 or batch.shape[1:] != (self.side, self.side, 3):
            raise InputError(f"This backbone takes {self.side} x {self.side} RGB images, not {batch.shape[1:]}.")
        size = self.batch_size
        found = [
            self._backbone.features(
                torch.from_numpy(np.ascontiguousarray(batch[i : i + size])).to(self.device), self.settings.layer
            )
            .cpu()
            .numpy()
            for i in range(0, len(batch), size)
        ]
        return np.concatenate(found) if found else np.zeros((0, self.dimension), np.float32)
