"""Which CLIP models there are and where their files are; light, so that a page may ask without loading torch."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.core.errors import InputError, WeightsError
from engine.core.progress import SILENT, Progress
from engine.embeddings.encoders.fingerprint import fingerprint
from engine.embeddings.encoders.registry import KnownModel
from engine.embeddings.encoders.weights import NotOnHubError, Wanted, Weights, find_weights

MODELS = (
    KnownModel("ViT-B-32", "CLIP ViT-B/32", 605, 512, work=4.4),
    KnownModel("ViT-B-16", "CLIP ViT-B/16", 599, 512, work=17.6),
    KnownModel("ViT-L-14", "CLIP ViT-L/14", 1710, 768, work=81.0),
    KnownModel("ViT-H-14", "CLIP ViT-H/14", 3944, 1024, work=167.3),
    KnownModel("openai/clip-vit-base-patch32", "OpenAI CLIP ViT-B/32", 605, 512, work=4.4),
    KnownModel("openai/clip-vit-large-patch14", "OpenAI CLIP ViT-L/14", 1711, 768, work=81.0),
)
DEFAULTS = {  # the best open training of each architecture: tag and repository
    "ViT-B-32": ("laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
    "ViT-B-16": ("laion2b_s34b_b88k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"),
    "ViT-L-14": ("laion2b_s32b_b82k", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K"),
    "ViT-H-14": ("laion2b_s32b_b79k", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
}
OPEN_CLIP_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
HUB_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
TOKENIZER_FILES = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
]


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
    tag : str
        The published training of an architecture; empty otherwise.
    """

    place: Place
    library: Literal["open_clip", "transformers"]
    revision: str
    folder: Path
    checkpoint: Path
    whole: bool
    tag: str


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
    return Located(place, library, weights.revision, weights.folder, weights.files[1], True, "")


def _from_tag(place: Place, progress: Progress, download: bool) -> Located:
    """Find the weights of an architecture by tag, or take the checkpoint file that was named."""
    given = Path(place.pretrained).expanduser() if place.pretrained else None
    if given is not None and given.is_file():
        return Located(place, "open_clip", fingerprint([given]), given.parent, given, False, "")
    tag, repository = DEFAULTS.get(place.model, ("", ""))
    name = ""
    if not repository or place.pretrained not in ("", tag):
        tag, repository, name = _published(place)
    wanted = Wanted(repository, [[name] if name else OPEN_CLIP_FILES], [], _megabytes(place))
    weights = find_weights(wanted, progress=progress, download=download)
    return Located(place, "open_clip", f"{tag}@{weights.revision}", weights.folder, weights.files[0], False, tag)


def _published(place: Place) -> tuple[str, str, str]:
    """Return (tag, repository, file or "") of a training that open_clip knows."""
    import open_clip

    if open_clip.get_model_config(place.model) is None:
        raise WeightsError(
            f"{place.model!r} is neither an architecture of open_clip nor a hub id nor a folder.",
            f"Well-known ones: {', '.join(model.name for model in MODELS)}.",
        )
    known = open_clip.list_pretrained_tags_by_model(place.model)
    tag = place.pretrained or next(iter(known), "")
    if not tag:
        raise WeightsError(f"{place.model} has no published weights.", "Name a checkpoint file in `pretrained`.")
    config = open_clip.get_pretrained_cfg(place.model, tag)
    if not config:
        raise WeightsError(
            f"{tag!r} is neither a file nor a known training of {place.model}.",
            f"Known: {', '.join(known) or 'none'}.",
        )
    repository, _, name = str(config.get("hf_hub", "")).rpartition("/")
    if not repository:
        raise WeightsError(
            f"{place.model} with {tag} is not on the hub: download {config.get('url')} and name the file in "
            "`pretrained`."
        )
    return tag, repository, name


def list_trainings() -> list[KnownModel]:
    """Return the published trainings of open_clip that the hub keeps, named "architecture:training"."""
    import open_clip

    found = []
    for architecture, tag in open_clip.list_pretrained():
        repository = str(open_clip.get_pretrained_cfg(architecture, tag).get("hf_hub", "")).rpartition("/")[0]
        config = open_clip.get_model_config(architecture)
        if repository and config:
            name = f"{architecture}:{tag}"
            found.append(KnownModel(name, name, _size(config), int(config["embed_dim"]), repository=repository))
    return found


def _size(config: Mapping[str, Any]) -> int:
    """Return about how many MB two plain transformers take in single precision; 0 for other architectures."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    if "timm_model_name" in vision or "hf_model_name" in text or not isinstance(vision.get("layers"), int):
        return 0
    patch, side = int(vision.get("patch_size", 32)), int(vision.get("image_size", 224))
    wide, narrow, shared = int(vision["width"]), int(text.get("width", 512)), int(config["embed_dim"])
    parameters = _transformer(vision) + _transformer(text) + shared * (wide + narrow)
    parameters += wide * (3 * patch**2 + (side // patch) ** 2)
    parameters += narrow * (int(text.get("vocab_size", 49_408)) + int(text.get("context_length", 77)))
    return round(4 * parameters / 1e6)


def _transformer(config: Mapping[str, Any]) -> int:
    width = int(config.get("width", 512))
    return round(int(config.get("layers", 12)) * width**2 * (4 + 2 * float(config.get("mlp_ratio", 4.0))))
