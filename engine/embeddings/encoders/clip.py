"""CLIP: image vectors that words can search, through open_clip or, for ids of the transformers format, transformers.

A model is an architecture with a pretrained tag ("ViT-B-32"), a hub id, or a folder. Which library loads a hub
id or a folder is decided by its files: open_clip_config.json, else config.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.embeddings.encoders.clip_models import MODELS, Place, list_trainings, locate
from engine.embeddings.encoders.clip_towers import HubTower, OpenClipTower
from engine.embeddings.encoders.registry import KnownModel
from engine.embeddings.encoders.vision import ModelEncoder, ModelName, VisionSettings
from engine.embeddings.encoders.weights import description

__all__ = ["MODELS", "Clip", "ClipSettings"]

_FAMILY = ("clip", "siglip")  # what the ids of such models hold


class ClipSettings(VisionSettings):
    """Which model, which weights, at which resolution."""

    model: ModelName = setting(
        "ViT-B-32",
        "An architecture of the list, an id of the hub such as openai/clip-vit-base-patch32 or "
        "hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K, or a folder that holds a model.",
    )
    pretrained: str = setting(
        "", "Which training of an architecture: a tag such as openai, or a checkpoint file; the best open one if empty."
    )

    @property
    def place(self) -> Place:
        """Where the weights are to be found."""
        return Place(self.model.removeprefix("hf-hub:"), self.pretrained, self.model.startswith("hf-hub:"))


class Clip(ModelEncoder):
    """CLIP's image tower, and its text tower for search.

    Parameters
    ----------
    settings : ClipSettings, optional
    device : str

    Raises
    ------
    WeightsError
        Absent and offline, gated, unknown, or of another architecture.
    InputError
        A resolution that the model cannot take.

    References
    ----------
    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
    Cherti et al., "Reproducible Scaling Laws for Contrastive Language-Image Learning", CVPR 2023.
    """

    settings_class: ClassVar[type[VisionSettings]] = ClipSettings
    settings: ClipSettings

    def __init__(self, settings: ClipSettings | None = None, *, device: str = "auto") -> None:
        super().__init__(settings, device=device)
        found = locate(self.settings.place)
        loader = OpenClipTower if found.library == "open_clip" else HubTower
        self._tower: OpenClipTower | HubTower = loader(found, self.settings.resolution)
        self.side = self._tower.side
        self._check_patches(self._tower.patch)
        self._ready(self._tower.model, found.revision, self._tower.statistics)

    @staticmethod
    def revision_of(settings: ClipSettings, *, progress: Progress = SILENT, download: bool = True) -> str:
        """Return the commit or hash of the weights; fetch them when they are not here."""
        return locate(settings.place, progress=progress, download=download).revision

    @staticmethod
    def reads_model(model: str) -> bool:
        """Return whether a model is of CLIP's kind: an architecture, or files or an id that say so."""
        name = model.removeprefix("hf-hub:")
        described = description(name)
        if described is not None:
            return "vision_config" in described or "model_cfg" in described
        return "/" not in name or any(word in name.lower() for word in _FAMILY)

    @staticmethod
    def model_values(model: str) -> dict[str, str]:
        """Return the settings that name a model; "architecture:training" names both."""
        name, _, training = model.rpartition(":")
        return {"model": name, "pretrained": training} if name and "/" not in training else {"model": model}

    @staticmethod
    def list_models() -> list[KnownModel]:
        """Return every training that open_clip knows, as "architecture:training", the page's list first."""
        return [*MODELS, *list_trainings()]

    def _forward(self, pixels: Any) -> Any:  # noqa: ANN401 - torch is not imported here
        return self._tower.image(pixels)

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dimension) float32 unit vectors of sentences, in the space of the images.

        Raises
        ------
        WeightsError
            The model's folder holds no tokenizer.
        """
        import torch

        with torch.inference_mode(), self._autocast():
            vectors = self._tower.text(list(texts), self.device).float()
            found: NDArray[np.float32] = torch.nn.functional.normalize(vectors, dim=1).cpu().numpy()
        return found
