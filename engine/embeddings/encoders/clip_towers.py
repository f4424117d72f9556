"""How open_clip and transformers load a CLIP model that is on this machine, and run its two towers.

Both classes have one face: `model`, `side`, `patch`, `statistics`, `image(pixels)` and `text(sentences)`.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from engine.core.errors import WeightsError
from engine.core.files import read_json
from engine.embeddings.encoders.clip_models import Located
from engine.embeddings.encoders.hub_models import load_hub_model, why_not_loaded
from engine.embeddings.encoders.vision import CLIP, fixed_resolution, statistics_of


class OpenClipTower:
    """A model that open_clip loads."""

    def __init__(self, found: Located, resolution: int | None) -> None:
        import open_clip

        self._found = found
        self._local = found.whole
        self._name = f"local-dir:{found.folder}" if self._local else found.place.model
        whole = read_json(found.folder / "open_clip_config.json") if self._local else {}
        config = whole.get("model_cfg") or open_clip.get_model_config(found.place.model)
        if not isinstance(config, dict) or "vision_cfg" not in config:
            raise WeightsError(f"{found.folder / 'open_clip_config.json'} describes no model.", "Fetch it again.")
        vision = config["vision_cfg"]
        tag = open_clip.get_pretrained_cfg(found.place.model, found.tag) if found.tag else {}
        self._quick_gelu = bool(tag.get("quick_gelu"))
        trained = vision.get("image_size", 224)
        trained = trained[0] if isinstance(trained, list) else int(trained)
        self.side = resolution or trained
        if self.side != trained and ("timm_model_name" in vision or isinstance(vision.get("layers"), list)):
            why = "its image tower has no position embeddings that open_clip interpolates"
            raise fixed_resolution(found.place.model, trained, self.side, why)
        self.patch: int | None = vision.get("patch_size")
        self.statistics = statistics_of(whole.get("preprocess_cfg", {}) or tag, CLIP)
        self.model = self._load(trained)

    def _load(self, trained: int) -> Any:  # noqa: ANN401 - an open_clip model
        import open_clip

        try:
            return open_clip.create_model(
                self._name,
                pretrained=None if self._local else str(self._found.checkpoint),
                force_image_size=self.side if self.side != trained else None,
                force_quick_gelu=self._quick_gelu,
                weights_only=True,
            )
        except Exception as error:  # open_clip wraps whatever its loaders meet in errors of its own
            raise WeightsError(
                f"{self._found.checkpoint} cannot be loaded as {self._found.place.model}: {why_not_loaded(error)}.",
                "The file is damaged or belongs to another architecture.",
            ) from error

    def image(self, pixels: Any) -> Any:  # noqa: ANN401 - tensors
        """Return (n, d) image features."""
        return self.model.encode_image(pixels)

    def text(self, sentences: list[str], device: str) -> Any:  # noqa: ANN401 - tensors
        """Return (n, d) text features."""
        import open_clip

        try:
            tokenize = open_clip.get_tokenizer(self._name)
        except (OSError, ValueError) as error:
            raise no_tokenizer(self._found.folder) from error
        return self.model.encode_text(tokenize(sentences).to(device))


class HubTower:
    """A CLIP-like model that transformers loads: CLIP, SigLIP and others with `get_image_features`."""

    def __init__(self, found: Located, resolution: int | None) -> None:
        self._found = found
        config = read_json(found.folder / "config.json").get("vision_config", {})
        self.model = load_hub_model(found.place.model, found.folder)
        if not hasattr(self.model, "get_image_features"):
            raise WeightsError(
                f"{found.place.model} is a {self.model.config.model_type} model, not a CLIP model.",
                "For DINO and ViT models use the encoder 'dino'.",
            )
        vision = self.model.config.vision_config
        trained = int(vision.image_size)
        self.side = resolution or trained
        takes = "interpolate_pos_encoding" in inspect.signature(self.model.get_image_features).parameters
        if self.side != trained and not takes:
            why = "its position embeddings cannot be interpolated"
            raise fixed_resolution(found.place.model, trained, self.side, why)
        self._options = {"interpolate_pos_encoding": True} if self.side != trained else {}
        self.patch: int | None = getattr(vision, "patch_size", config.get("patch_size"))
        preprocessing = found.folder / "preprocessor_config.json"
        self.statistics = statistics_of(read_json(preprocessing) if preprocessing.exists() else {}, CLIP)
        self._tokenizer: Any = None

    def image(self, pixels: Any) -> Any:  # noqa: ANN401 - tensors
        """Return (n, d) image features."""
        return _pooled(self.model.get_image_features(pixel_values=pixels, **self._options))

    def text(self, sentences: list[str], device: str) -> Any:  # noqa: ANN401 - tensors
        """Return (n, d) text features."""
        if self._tokenizer is None:
            self._tokenizer = _load_tokenizer(self._found.folder)
        length = int(getattr(self.model.config.text_config, "max_position_embeddings", 77))
        tokens = self._tokenizer(
            sentences, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        )
        return _pooled(self.model.get_text_features(**tokens.to(device)))


def _pooled(output: Any) -> Any:  # noqa: ANN401 - a tensor, or transformers' output around it
    return getattr(output, "pooler_output", output)


def _load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - a tokenizer
    import transformers

    if not any(
        (folder / name).is_file() for name in ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")
    ):
        raise no_tokenizer(folder)  # transformers would make an empty one, in which all words are the same
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise no_tokenizer(folder) from error


def no_tokenizer(folder: Path) -> WeightsError:
    """Return the refusal of a search by words where the words cannot be read."""
    return WeightsError(
        f"{folder} holds no tokenizer, so this model cannot be searched by words.",
        "Put tokenizer.json, or vocab.json and merges.txt, of the model there.",
    )
