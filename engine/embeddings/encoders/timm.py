"""Any image backbone of timm by name: SigLIP 2, DINOv3, ConvNeXt and hundreds more, from the hub, a folder or a file.

The vector is what the model hands to its classifier: its features, pooled as the model pools them. Mean, deviation and
input size are the model's own (its pretrained_cfg). Files come only through `weights`, so that what is missing is said.
"""

from __future__ import annotations

import difflib
import logging
import re
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from engine.core.errors import InputError, WeightsError
from engine.core.files import read_json
from engine.core.progress import SILENT, Progress
from engine.core.settings import setting
from engine.embeddings.encoders.fingerprint import fingerprint
from engine.embeddings.encoders.registry import KnownModel
from engine.embeddings.encoders.vision import IMAGENET, ModelEncoder, ModelName, VisionSettings, fixed_resolution
from engine.embeddings.encoders.weights import Wanted, Weights, description, find_weights

MODELS = (
    KnownModel("vit_base_patch16_siglip_224.v2_webli", "SigLIP 2 base", 372, 768, work=17.7),
    KnownModel("vit_large_patch16_siglip_256.v2_webli", "SigLIP 2 large", 1264, 1024, 256, work=81.3),
    KnownModel("vit_so400m_patch16_siglip_256.v2_webli", "SigLIP 2 so400m", 1712, 1152, 256, work=109.6),
    KnownModel("vit_small_patch16_dinov3.lvd1689m", "DINOv3 ViT small", 86, 384, 256, work=6.3),
    KnownModel("vit_base_patch16_dinov3.lvd1689m", "DINOv3 ViT base", 343, 768, 256, work=23.6),
    KnownModel("convnext_tiny.dinov3_lvd1689m", "DINOv3 ConvNeXt tiny", 111, 768, work=4.5),
    KnownModel("convnext_base.dinov3_lvd1689m", "DINOv3 ConvNeXt base", 350, 1024, work=15.4),
    KnownModel("mobilenetv4_conv_small.e2400_r224_in1k", "MobileNetV4 small", 15, 1280, work=0.2),
)
_FILES = ("model.safetensors", "pytorch_model.bin")
_ID = re.compile(r"(timm/)?[a-z0-9_]+\.[a-z0-9_]+")  # architecture.training


class TimmSettings(VisionSettings):
    """Which model, at which resolution."""

    model: ModelName = setting(
        "vit_base_patch16_siglip_224.v2_webli",
        "A model of the list, another name of timm, an id of the hub such as timm/resnet18.a1_in1k, or a folder.",
    )
    checkpoint: str = setting(
        "", "A file of weights for the architecture named as the model; its published ones if empty.", advanced=True
    )


@dataclass(frozen=True)
class _Found:
    """A model that is on this machine: its architecture, its data config and how to build it."""

    weights: Weights
    architecture: str
    config: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)


class Timm(ModelEncoder):
    """Pooled features of a timm model.

    Parameters
    ----------
    settings : TimmSettings, optional
    device : str

    Raises
    ------
    WeightsError
        Absent and offline, gated, unknown, or of another architecture.
    InputError
        A name that timm does not know (the nearest ones are said), or a resolution that the model refuses.

    References
    ----------
    Wightman, "PyTorch Image Models", https://github.com/huggingface/pytorch-image-models, 2019.
    """

    settings_class: ClassVar[type[VisionSettings]] = TimmSettings
    settings: TimmSettings

    def __init__(self, settings: TimmSettings | None = None, *, device: str = "auto") -> None:
        super().__init__(settings, device=device)
        found = _find(self.settings)
        config, name, wanted = found.config, self.settings.model, self.settings.resolution
        trained = int((config.get("input_size") or (3, 224, 224))[-1])
        self.side = wanted or trained
        model = _build(name, found, self.side if wanted else None)
        patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
        self._check_patches(patch[0] if isinstance(patch, tuple) else None)
        statistics: list[Sequence[float]] = []
        for key, usual in zip(("mean", "std"), IMAGENET, strict=True):
            given = config.get(key)
            statistics.append([float(value) for value in given] if given else usual)
        if not (config.get("mean") and config.get("std")):
            self.notes.append(f"The config of {name} says no mean or no deviation of its pixels; ImageNet's are taken.")
        try:
            self._ready(model, found.weights.revision, (statistics[0], statistics[1]))
        except (AssertionError, RuntimeError, ValueError) as error:
            if wanted in (None, trained) or "out of memory" in str(error).lower():
                raise
            raise fixed_resolution(name, trained, self.side, _first_sentence(error)) from error

    @staticmethod
    def revision_of(settings: TimmSettings, *, progress: Progress = SILENT, download: bool = True) -> str:
        """Return the commit or hash of the weights; fetch them when they are not here. A known model needs no torch."""
        known = next((model for model in MODELS if model.name == settings.model), None)
        if known is not None and not settings.checkpoint:
            wanted = Wanted(f"timm/{known.name}", [_FILES], megabytes=known.megabytes)
            return find_weights(wanted, progress=progress, download=download).revision
        return _find(settings, progress, download=download).weights.revision

    @staticmethod
    def reads_model(model: str) -> bool:
        """Return whether a model is timm's: its config names an architecture, or it is architecture.training."""
        described = description(model)
        if described is not None:
            return "architecture" in described
        return _ID.fullmatch(model) is not None

    @staticmethod
    def list_models() -> list[KnownModel]:
        """Return every name that timm has weights for, those of the page's list first."""
        import timm

        others = [name for name in timm.list_pretrained() if all(name != model.name for model in MODELS)]
        return [*MODELS, *(KnownModel(name, name, 0, 0, repository=f"timm/{name}") for name in others)]

    def _forward(self, pixels: Any) -> Any:  # noqa: ANN401 - torch is not imported here
        found = self._model(pixels)
        if found.ndim != 2:
            raise WeightsError(
                f"{self.settings.model} gives no vector for an image, but {tuple(found.shape[1:])} numbers.",
                "Choose a model that timm lists as a classifier.",
            )
        return found


def _find(settings: TimmSettings, progress: Progress = SILENT, *, download: bool = True) -> _Found:
    """Return the model's files and what its config says."""
    name = settings.model.removeprefix("hf-hub:")
    if settings.checkpoint:
        return _from_checkpoint(name, Path(settings.checkpoint).expanduser())
    if "/" in name or Path(name).is_dir():
        return _from_repository(name, progress, download)
    config = _registered(name)
    repository = config.get("hf_hub_id")
    if not repository:
        raise WeightsError(
            f"The weights of {name} are not on the hub.",
            f"Download {config.get('url') or 'them'} and name the file as the checkpoint.",
        )
    known = next((model.megabytes for model in MODELS if model.name == name), None)
    files = [config["hf_hub_filename"]] if config.get("hf_hub_filename") else _FILES
    wanted = Wanted(repository, [files], megabytes=known)
    weights = find_weights(wanted, progress=progress, download=download)
    return _Found(weights, name, config)


def _from_checkpoint(name: str, path: Path) -> _Found:
    if not path.is_file():
        raise WeightsError(f"There is no checkpoint {path}.", "Name a file of weights, or leave it empty.")
    return _Found(Weights(path.parent, [path], fingerprint([path])), name, _registered(name))


def _from_repository(name: str, progress: Progress, download: bool) -> _Found:
    """Read config.json as timm writes it: today with a pretrained_cfg within, formerly flat."""
    import timm

    weights = find_weights(Wanted(name, [["config.json"], _FILES]), progress=progress, download=download)
    described = read_json(weights.folder / "config.json")
    architecture = described.get("architecture")
    if not isinstance(architecture, str) or not timm.is_model(architecture):
        raise WeightsError(
            f"The config.json of {name} names no architecture of timm.",
            "Models of transformers go with the encoder 'dino' or 'clip'.",
        )
    options = {key: value for key, value in described.get("model_args", {}).items() if key != "num_classes"}
    return _Found(weights, architecture, dict(described.get("pretrained_cfg", described)), options)


def _registered(name: str) -> dict[str, Any]:
    """Return timm's pretrained_cfg of a registered name.

    Raises
    ------
    InputError
        Unknown; the nearest names are said.
    """
    import timm

    architecture, _, training = name.partition(".")
    if timm.is_model(architecture):
        trainings = [other for other in timm.list_pretrained() if other.partition(".")[0] == architecture]
        if not training or name in trainings:
            config = timm.get_pretrained_cfg(name)
            return asdict(config) if config is not None else {}
        raise InputError(f"timm has no training {training!r} of {architecture}.", _known(trainings))
    near = difflib.get_close_matches(name, timm.list_pretrained(), 3, 0.5)
    near = near or difflib.get_close_matches(architecture, timm.list_models(), 3, 0.5)
    raise InputError(f"timm has no model {name!r}.", f"Did you mean {' or '.join(near)}?" if near else "See its list.")


def _known(names: list[str]) -> str:
    return f"Known: {', '.join(names)}." if names else "There are no published weights; name a checkpoint."


def _build(name: str, found: _Found, side: int | None) -> Any:  # noqa: ANN401 - a timm model
    """Return the model with its weights and without a classifier, on the CPU.

    Parameters
    ----------
    side : int, optional
        A resolution that was asked for; position embeddings are interpolated to it.

    Raises
    ------
    WeightsError
        Damaged, or of another architecture.
    InputError
        The model cannot be built for the resolution.
    """
    import timm

    options = dict(found.options)
    if side is not None and found.config.get("fixed_input_size"):
        options["img_size"] = side
        trained = int(found.config["input_size"][-1])
        try:
            timm.create_model(found.architecture, num_classes=0, **options)
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            raise fixed_resolution(name, trained, side, _first_sentence(error)) from error
    overlay = {
        "source": None,
        "file": str(found.weights.files[-1]),
        "custom_load": False,  # the hub's files are timm's own, whatever format the first publication had
        **{key: found.config[key] for key in ("num_classes", "classifier") if found.config.get(key) is not None},
    }
    with _MissingWeights() as missing:
        try:
            model = timm.create_model(
                found.architecture, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay, **options
            )
        except Exception as error:  # a damaged file fails in its reader's own way, one of another model in torch's
            raise WeightsError(
                f"The weights of {name} cannot be loaded: {_first_sentence(error)}.",
                "The file is damaged or of another model; fetch it again.",
            ) from error
    if missing.keys:
        raise WeightsError(
            f"The weights of {name} lack {len(missing.keys)} parameters, the first is {missing.keys[0]}.",
            "The file belongs to another model; fetch it again.",
        )
    return model


def _first_sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[1] if len(lines) > 1 and lines[0].startswith("Error(s) in loading") else next(iter(lines), "")
    return text.split(". ")[0].rstrip(".:")[:200] or type(error).__name__


class _MissingWeights(logging.Handler):
    """Hears which parameters a checkpoint lacks: timm only logs them when the classifier is left out."""

    _logger = logging.getLogger("timm.models._builder")

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.keys: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        said = re.match(r"Missing keys \((.*?)\)", record.getMessage())
        if said and record.thread == self._thread:
            self.keys += said.group(1).split(", ")

    def __enter__(self) -> _MissingWeights:
        self._before = self._logger.level, self._logger.propagate
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.level, self._logger.propagate = self._before
