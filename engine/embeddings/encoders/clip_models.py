"""Which CLIP models there are, where their files are, and how open_clip and transformers load them.

Both towers have one face: `model`, `side`, `patch`, `statistics`, `image(pixels)` and `text(sentences)`.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.embeddings.encoders.fingerprint import fingerprint
from engine.embeddings.encoders.vision import CLIP, KnownModel, fixed_resolution, statistics_of
from engine.embeddings.encoders.weights import NotOnHubError, Wanted, Weights, find_weights
from engine.errors import InputError, WeightsError
from engine.files import read_json
from engine.progress import SILENT, Progress

MODELS = (
    KnownModel("ViT-B-32", "CLIP ViT-B/32", 605, 512),
    KnownModel("ViT-B-16", "CLIP ViT-B/16", 599, 512),
    KnownModel("ViT-L-14", "CLIP ViT-L/14", 1710, 768),
    KnownModel("ViT-H-14", "CLIP ViT-H/14", 3944, 1024),
    KnownModel("openai/clip-vit-base-patch32", "OpenAI CLIP ViT-B/32", 605, 512),
    KnownModel("openai/clip-vit-large-patch14", "OpenAI CLIP ViT-L/14", 1711, 768),
)
DEFAULT_TAGS = {
    "ViT-B-32": "laion2b_s34b_b79k",
    "ViT-B-16": "laion2b_s34b_b88k",
    "ViT-L-14": "laion2b_s32b_b82k",
    "ViT-H-14": "laion2b_s32b_b79k",
}
OPEN_CLIP_FILES = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin",
)  # fmt: skip
HUB_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
                   "spiece.model", "tokenizer.model"]  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where a person says that the weights are.

    Attributes
    ----------
    model : str
        An architecture of open_clip, a hub id, or a folder.
    pretrained : str
        A tag or a checkpoint file, for an architecture.
    open_clip_first : bool
        Of a hub repository that has both formats, take open_clip's ("hf-hub:" stood before the id).
    """

    model: str
    pretrained: str = ""
    open_clip_first: bool = False


@dataclass(frozen=True)
class Located:
    """Weights that are on this machine and the library that loads them.

    Attributes
    ----------
    whole : bool
        The folder describes the model beside its weights; otherwise `place.model` is an architecture.
    tag : dict
        What open_clip knows of a published training; empty otherwise.
    """

    place: Place
    library: Literal["open_clip", "transformers"]
    revision: str
    folder: Path
    checkpoint: Path
    whole: bool
    tag: dict[str, Any]


def locate(place: Place, *, progress: Progress = SILENT, download: bool = True) -> Located:
    """Find the files of a model, fetching them when needed.

    Raises
    ------
    WeightsError
    """
    folder = Path(place.model).expanduser()
    if folder.is_dir():
        return _from_repository(place, folder, progress, download)
    if "/" in place.model:
        return _from_repository(place, None, progress, download)
    return _from_tag(place, progress, download)


def _from_repository(place: Place, folder: Path | None, progress: Progress, download: bool) -> Located:
    """Take open_clip's files or those of transformers, whichever are here; else fetch them."""
    if place.pretrained:
        raise InputError(
            f"{place.model} brings its own weights; `pretrained` goes with an architecture.", "Leave it empty."
        )
    size = _megabytes(place)
    ours = Wanted(place.model, [["open_clip_config.json"], OPEN_CLIP_FILES], TOKENIZER_FILES, size)
    theirs = Wanted(place.model, [["config.json"], HUB_FILES], ["preprocessor_config.json", *TOKENIZER_FILES], size)
    if folder is not None:
        wanted = ours if (folder / "open_clip_config.json").is_file() else theirs
        return _located(place, find_weights(wanted), wanted is ours)
    first, second = (ours, theirs) if place.open_clip_first else (theirs, ours)
    for wanted in (first, second):  # what is here already is never asked of the hub
        with suppress(WeightsError):
            return _located(place, find_weights(wanted, download=False), wanted is ours)
    try:
        return _located(place, find_weights(first, progress=progress, download=download), first is ours)
    except NotOnHubError:
        return _located(place, find_weights(second, progress=progress, download=download), second is ours)


def _megabytes(place: Place) -> int | None:
    return next((model.megabytes for model in MODELS if model.name == place.model), None)


def _located(place: Place, weights: Weights, open_clip: bool) -> Located:
    library: Literal["open_clip", "transformers"] = "open_clip" if open_clip else "transformers"
    return Located(place, library, weights.revision, weights.folder, weights.files[1], True, {})


def _from_tag(place: Place, progress: Progress, download: bool) -> Located:
    """Find the weights of an architecture by tag, or take the checkpoint file that was named."""
    import open_clip

    if open_clip.get_model_config(place.model) is None:
        known = ", ".join(model.name for model in MODELS)
        raise WeightsError(
            f"{place.model!r} is neither an architecture of open_clip nor a hub id nor a folder.",
            f"Well-known ones: {known}.",
        )
    given = Path(place.pretrained).expanduser() if place.pretrained else None
    if given is not None and given.is_file():
        return Located(place, "open_clip", fingerprint([given]), given.parent, given, False, {})
    tag = place.pretrained or DEFAULT_TAGS.get(place.model) or _first_tag(place.model)
    if not tag:
        raise WeightsError(f"{place.model} has no published weights.", "Name a checkpoint file in `pretrained`.")
    config = open_clip.get_pretrained_cfg(place.model, tag)
    if not config:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(place.model))
        raise WeightsError(
            f"{tag!r} is neither a file nor a known training of {place.model}.", f"Known: {known or 'none'}."
        )
    repository, _, name = str(config.get("hf_hub", "")).rpartition("/")
    if not repository:
        raise WeightsError(
            f"{place.model} with {tag} is not on the hub: download {config.get('url')} and name the file in "
            "`pretrained`."
        )
    wanted = Wanted(repository, [[name] if name else OPEN_CLIP_FILES], [], _megabytes(place))
    weights = find_weights(wanted, progress=progress, download=download)
    return Located(
        place, "open_clip", f"{tag}@{weights.revision}", weights.folder, weights.files[0], False, dict(config)
    )


def _first_tag(model: str) -> str:
    import open_clip

    return next(iter(open_clip.list_pretrained_tags_by_model(model)), "")


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
        trained = vision.get("image_size", 224)
        trained = trained[0] if isinstance(trained, list) else int(trained)
        self.side = resolution or trained
        if self.side != trained and ("timm_model_name" in vision or isinstance(vision.get("layers"), list)):
            why = "its image tower has no position embeddings that open_clip interpolates"
            raise fixed_resolution(found.place.model, trained, self.side, why)
        self.patch: int | None = vision.get("patch_size")
        self.statistics = statistics_of(whole.get("preprocess_cfg", {}) or found.tag, CLIP)
        self.model = self._load(trained)

    def _load(self, trained: int) -> Any:  # noqa: ANN401 - an open_clip model
        import open_clip

        try:
            return open_clip.create_model(
                self._name,
                pretrained=None if self._local else str(self._found.checkpoint),
                force_image_size=self.side if self.side != trained else None,
                force_quick_gelu=bool(self._found.tag.get("quick_gelu")),
                weights_only=True,
            )
        except Exception as error:  # open_clip wraps whatever its loaders meet in errors of its own
            raise WeightsError(
                f"{self._found.checkpoint} cannot be loaded as {self._found.place.model}: "
                f"{str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}",
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
        self.model = _load_hub_model(found)
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


def _load_hub_model(found: Located) -> Any:  # noqa: ANN401 - a transformers model
    import torch
    import transformers

    transformers.logging.disable_progress_bar()
    try:
        model, told = transformers.AutoModel.from_pretrained(
            found.folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise WeightsError(
            f"{found.place.model} cannot be loaded: {str(error).splitlines()[0]}",
            "Its files are incomplete or of another model.",
        ) from error
    if not hasattr(model, "get_image_features"):
        raise WeightsError(
            f"{found.place.model} is a {model.config.model_type} model, not a CLIP model.",
            "For DINO and ViT models use the encoder 'dino'.",
        )
    missing = sorted(key for key in told["missing_keys"] if "position_ids" not in key)
    if missing:
        raise WeightsError(
            f"The weights of {found.place.model} lack {len(missing)} parameters, the first is {missing[0]}.",
            "The file belongs to another model; fetch it again.",
        )
    return model


def _load_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - a tokenizer
    import transformers

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
