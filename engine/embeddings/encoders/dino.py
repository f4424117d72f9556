"""DINOv2, DINOv3 and any image model of the hub that ends in a class token, through transformers.

The vector is the class token after the last norm (CLS pooling). Position embeddings are interpolated for other
resolutions where the model can; otherwise the resolution is refused.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from engine.core.errors import WeightsError
from engine.core.files import read_json
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.embeddings.encoders.hub_models import load_hub_model
from engine.embeddings.encoders.registry import KnownModel
from engine.embeddings.encoders.vision import (
    IMAGENET,
    ModelEncoder,
    ModelName,
    VisionSettings,
    fixed_resolution,
    statistics_of,
)
from engine.embeddings.encoders.weights import Wanted, Weights, description, find_weights

MODELS = (
    KnownModel("facebook/dinov2-small", "DINOv2 small", 88, 384, work=6.1),
    KnownModel("facebook/dinov2-base", "DINOv2 base", 346, 768, work=23.2),
    KnownModel("facebook/dinov2-large", "DINOv2 large", 1217, 1024, work=81.0),
    KnownModel("facebook/dinov2-giant", "DINOv2 giant", 4546, 1536, work=299.4),
    KnownModel("facebook/dinov3-vits16-pretrain-lvd1689m", "DINOv3 small", 86, 384, gated=True, work=4.7),
    KnownModel("facebook/dinov3-vitb16-pretrain-lvd1689m", "DINOv3 base", 343, 768, gated=True, work=17.9),
    KnownModel("facebook/dinov3-vitl16-pretrain-lvd1689m", "DINOv3 large", 1213, 1024, gated=True, work=62.8),
    KnownModel("facebook/dinov3-vith16plus-pretrain-lvd1689m", "DINOv3 huge", 3362, 1280, gated=True, work=172.1),
    KnownModel("facebook/dinov3-vit7b16-pretrain-lvd1689m", "DINOv3 giant, 7 B", 26864, 4096, gated=True, work=1362.7),
)
WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
_TRAINED = 224  # what DINO crops to by default; its configs name other sides


class DinoSettings(VisionSettings):
    """Which model, at which resolution."""

    model: ModelName = setting(
        "facebook/dinov2-small", "A model of the list, another id of the hub, or a folder that holds one."
    )


class Dino(ModelEncoder):
    """Class-token embeddings.

    Parameters
    ----------
    settings : DinoSettings, optional
    device : str

    Raises
    ------
    WeightsError
        Absent and offline, gated, or without a class token.
    InputError
        A resolution that the model cannot take.

    References
    ----------
    Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024.
    Simeoni et al., "DINOv3", 2025.
    """

    settings_class: ClassVar[type[VisionSettings]] = DinoSettings
    settings: DinoSettings

    def __init__(self, settings: DinoSettings | None = None, *, device: str = "auto") -> None:
        super().__init__(settings, device=device)
        weights = _find(self.settings, SILENT, download=True)
        config = read_json(weights.folder / "config.json")
        model = load_hub_model(self.settings.model, weights.folder)
        if model.main_input_name != "pixel_values":
            raise WeightsError(f"{self.settings.model} is no image model.", "Choose a DINO or ViT model.")
        self._any_side = config.get("model_type") in _ANY_SIDE
        self.side, self._options = _side(self.settings, config, _takes_option(model))
        self._patch = config.get("patch_size")
        self._check_patches(self._patch)
        preprocessing = weights.folder / "preprocessor_config.json"
        statistics = statistics_of(read_json(preprocessing) if preprocessing.exists() else {}, IMAGENET)
        self._ready(model, weights.revision, statistics)

    @staticmethod
    def revision_of(settings: DinoSettings, *, progress: Progress = SILENT, download: bool = True) -> str:
        """Return the commit or hash of the weights; fetch them when they are not here."""
        return _find(settings, progress, download=download).revision

    @staticmethod
    def reads_model(model: str) -> bool:
        """Return whether a model has an image tower alone, or, where its files are not here, is called DINO."""
        described = description(model)
        if described is not None:
            return "vision_config" not in described and "model_cfg" not in described
        return "/" in model and "dino" in model.lower()

    def _forward(self, pixels: Any) -> Any:  # noqa: ANN401 - torch is not imported here
        tokens = self._model(pixel_values=pixels, **self._options).last_hidden_state
        patches = 0 if self._any_side or not isinstance(self._patch, int) else (self.side // self._patch) ** 2
        if tokens.ndim != 3 or tokens.shape[1] <= patches:
            raise WeightsError(
                f"{self.settings.model} ends in no class token, which is what this encoder takes as the embedding.",
                "Choose a DINO or ViT model; CLIP and SigLIP models go with the encoder 'clip'.",
            )
        return tokens[:, 0]


_ANY_SIDE = ("dinov2", "dinov2_with_registers", "dinov3_vit", "dinov3_convnext")


def _find(settings: DinoSettings, progress: Progress, *, download: bool) -> Weights:
    known = next((model for model in MODELS if model.name == settings.model), None)
    wanted = Wanted(
        settings.model,
        [["config.json"], WEIGHT_FILES],
        ["preprocessor_config.json"],
        known.megabytes if known else None,
    )
    return find_weights(wanted, progress=progress, download=download)


def _side(settings: DinoSettings, config: dict[str, Any], interpolates: bool) -> tuple[int, dict[str, bool]]:
    """Return the side and the option that makes a model interpolate its position embeddings."""
    trained = config.get("image_size")
    if config.get("model_type") in _ANY_SIDE or not isinstance(trained, int):
        return settings.resolution or _TRAINED, {}
    side = settings.resolution or trained
    if side != trained and not interpolates:
        why = "its position embeddings cannot be interpolated"
        raise fixed_resolution(settings.model, trained, side, why)
    return side, {"interpolate_pos_encoding": True} if side != trained else {}


def _takes_option(model: Any) -> bool:  # noqa: ANN401 - a transformers model
    return "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
