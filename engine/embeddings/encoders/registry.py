"""The registry of encoders: adding one is one file and one line in `ENCODERS`.

An encoder is a class built from its settings model; weights are loaded in `__init__`, and
`encode(batch)` turns uint8 images into float32 vectors. Its entry says what it can do, so pages, command line and
experiments ask the entry and never the name. Nothing heavy is imported until asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.settings import Settings


class Encoder(Protocol):
    """What the pipeline needs of an encoder. Picklable, so it runs in a thread, a process or an actor.

    Attributes
    ----------
    side : int
        Edge of the square it is given, pixels.
    dimension : int
        Length of a vector.
    revision : str
        What weights were really loaded (hash or tag); part of the cache key.
    device : str
        Where it computes; "cpu" for training-free ones.
    batch_size : int
        How many images at a time suit the device; the pipeline halves it when memory runs out.
    notes : list of str
        What the person should know about this encoder as it was built.
    """

    side: int
    dimension: int
    revision: str
    device: str
    batch_size: int
    notes: list[str]

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (n, dimension) float32 vectors of (n, side, side, 3) uint8 RGB images."""


@runtime_checkable
class TextEncoder(Protocol):
    """What an encoder whose entry says `reads_text` has besides: sentences in the space of its images."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dimension) float32 unit vectors of n sentences."""


@dataclass(frozen=True)
class KnownModel:
    """A model that the page offers by name.

    Attributes
    ----------
    name : str
        What stands in the settings: an architecture or a hub id.
    title : str
    megabytes : int
        Approximate size of the download.
    dimension : int
    side : int
        Pixels it was trained with.
    gated : bool
        The hub asks to accept terms first.
    work : float
        Billions of multiply-adds for one image at its own resolution; 0 where nobody counted.
    repository : str
        Where the hub keeps it, if that is known and not its name.
    """

    name: str
    title: str
    megabytes: int
    dimension: int
    side: int = 224
    gated: bool = False
    work: float = 0.0
    repository: str = ""


@dataclass(frozen=True)
class EncoderEntry:
    """An encoder as pages, command line and tests see it; its settings are `<class>Settings` beside it.

    Attributes
    ----------
    name : str
        What stands in flags, requests and config.json.
    title : str
    sentence : str
        What it is good for.
    module, encoder : str
        Where the class is, and what it is called.
    takes : "images" | "vectors"
        Vectors are copied, not computed.
    needs : "nothing" | "download" | "file"
        What the default settings need before they can encode: nothing (works offline, at once), weights that are
        downloaded on first use, or a file that the person names.
    pretrained : bool
        Its weights were trained on other images.
    reads_text : bool
        It is a `TextEncoder`: words can search its images and name its clusters.
    any_model : bool
        The setting `model` takes more than the known models (ids of the hub, folders). The class then has
        `reads_model(model) -> bool`, `model_values(model) -> dict` of settings, and `list_models()`.
    default_for : "photographs" | "drawings" | "vectors" | ""
        The kind of data sets whose default encoder it is.
    work : float
        As in `KnownModel`, for an encoder without a choice of models: what takes a CPU as long as its encoding does.
    """

    name: str
    title: str
    sentence: str
    module: str
    encoder: str
    takes: Literal["images", "vectors"] = "images"
    needs: Literal["nothing", "download", "file"] = "nothing"
    pretrained: bool = False
    reads_text: bool = False
    any_model: bool = False
    default_for: Literal["photographs", "drawings", "vectors", ""] = ""
    work: float = 0.0

    @property
    def encoder_class(self) -> Any:  # noqa: ANN401 - a class that fits `Encoder`
        """Import and return the class; never imports torch."""
        return getattr(import_module(self.module), self.encoder)

    @property
    def settings_class(self) -> type[Settings]:
        """Import and return the settings model; never imports torch."""
        found: type[Settings] = getattr(import_module(self.module), f"{self.encoder}Settings")
        return found

    @property
    def models(self) -> tuple[KnownModel, ...]:
        """The models that a page offers for the setting `model`; empty where there is no such choice."""
        return getattr(import_module(self.module), "MODELS", ())

    @property
    def takes_resolution(self) -> bool:
        """Whether a person may choose how many pixels it sees."""
        return "resolution" in self.settings_class.model_fields

    def settings_for(self, model: str = "", resolution: int | None = None) -> Settings:
        """Return the settings that name a model (the default one if empty) at a resolution, where it takes one.

        Raises
        ------
        InputError
            A resolution out of bounds, or a model where there is no choice of models.
        """
        values: dict[str, Any] = {}
        if model:
            values = self.encoder_class.model_values(model) if self.any_model else {"model": model}
        if self.takes_resolution:
            values["resolution"] = resolution
        return self.settings_class.parse(values)

    def build(self, settings: Settings, *, device: str = "auto") -> Encoder:
        """Load the weights and return the encoder.

        Raises
        ------
        WeightsError
            Absent and offline, gated, or of another architecture.
        """
        found: Encoder = self.encoder_class(settings, device=device)
        return found

    def revision(self, settings: Settings, *, progress: Progress = SILENT, download: bool = True) -> str:
        """Return what weights these settings name, without loading them; fetch them when they are not here.

        Raises
        ------
        WeightsError
            Absent and offline (or `download` is off), gated, or unknown.
        """
        found: str = self.encoder_class.revision_of(settings, progress=progress, download=download)
        return found


_ALL = (
    EncoderEntry(
        "photo",
        "Photo",
        "Built in, no download: knows what is in a photograph. For drawings, textures and digits take the descriptor.",
        "engine.embeddings.encoders.photo",
        "Photo",
        pretrained=True,
        default_for="photographs",
        work=0.9,
    ),
    EncoderEntry(
        "descriptor",
        "Descriptor",
        "Built in, no download: shape, texture and colour, for drawings, textures and digits; photographs need Photo.",
        "engine.embeddings.encoders.descriptor",
        "Descriptor",
        default_for="drawings",
    ),
    EncoderEntry(
        "timm",
        "timm",
        "Hundreds of image models by name, SigLIP 2, DINOv3 and ConvNeXt among them; without words.",
        "engine.embeddings.encoders.timm",
        "Timm",
        needs="download",
        pretrained=True,
        any_model=True,
    ),
    EncoderEntry(
        "clip",
        "CLIP",
        "Knows what is in a photograph; the best start for everyday images.",
        "engine.embeddings.encoders.clip",
        "Clip",
        needs="download",
        pretrained=True,
        reads_text=True,
        any_model=True,
    ),
    EncoderEntry(
        "dino",
        "DINO",
        "Looks at form and texture, without words; good for fine visual differences.",
        "engine.embeddings.encoders.dino",
        "Dino",
        needs="download",
        pretrained=True,
        any_model=True,
    ),
    EncoderEntry(
        "precomputed",
        "Your own vectors",
        "Vectors that you computed elsewhere: .npy, .npz or .parquet.",
        "engine.embeddings.encoders.precomputed",
        "Precomputed",
        takes="vectors",
        needs="file",
        default_for="vectors",
    ),
    EncoderEntry(
        "hadis",
        "Trained here (HaDis)",
        "A network that HaDis trained on your own images.",
        "engine.embeddings.encoders.resnet",
        "Resnet",
        needs="file",
    ),
)

ENCODERS: dict[str, EncoderEntry] = {entry.name: entry for entry in _ALL}


def find_encoder(name: str) -> EncoderEntry:
    """Return the encoder called `name`.

    Raises
    ------
    InputError
        Unknown name; the known ones are listed.
    """
    try:
        return ENCODERS[name]
    except KeyError:
        raise InputError(f"There is no encoder {name!r}.", f"Known: {', '.join(ENCODERS)}.") from None


def default_encoder(holds: Literal["photographs", "drawings", "vectors"]) -> EncoderEntry:
    """Return the encoder for a kind of data set (`Dataset.holds`) when a person has chosen none."""
    return next(entry for entry in ENCODERS.values() if entry.default_for == holds)


def encoder_of_vectors() -> EncoderEntry:
    """Return the encoder for data sets that are vectors already."""
    return default_encoder("vectors")


def text_encoders() -> str:
    """Return the titles of the encoders that read text, for a sentence."""
    return " or ".join(entry.title for entry in ENCODERS.values() if entry.reads_text)


def model_names() -> list[str]:
    """Return the names that a page offers to `encoder_for_model`: known models, else the encoder itself."""
    entries = [entry for entry in ENCODERS.values() if entry.takes == "images" and entry.needs != "file"]
    return [name for entry in entries for name in [model.name for model in entry.models] or [entry.name]]


def encoder_for_model(model: str, resolution: int | None = None) -> tuple[EncoderEntry, Settings]:
    """Return the encoder that reads a model, and the settings that name the model.

    Parameters
    ----------
    model : str
        An encoder ("descriptor"), a known model ("ViT-B-32", "ViT-B-32:openai"), an id of the hub, a folder, or any
        of these after the encoder's name ("dino:someone/my-model").
    resolution : int, optional
        Edge in pixels; the model's own when absent or where the encoder takes none.

    Raises
    ------
    InputError
        A resolution out of bounds, or nobody can say which encoder reads the model.
    """
    name, _, rest = model.partition(":")
    if name in ENCODERS:
        return ENCODERS[name], ENCODERS[name].settings_for(rest, resolution)
    entries = [entry for entry in ENCODERS.values() if entry.takes == "images"]
    known = (entry for entry in entries if any(model == one.name for one in entry.models))
    reading = (entry for entry in entries if entry.any_model and entry.encoder_class.reads_model(model))
    found = next(known, None) or next(reading, None)
    if found is None:
        explicit = " or ".join(f"{entry.name}:{model}" for entry in entries if entry.any_model)
        raise InputError(f"Cannot tell which encoder reads the model {model!r}.", f"Write {explicit}.")
    return found, found.settings_for(model, resolution)


def expand_grid(models: Sequence[str], resolutions: Sequence[int]) -> list[tuple[str, int, str, Settings]]:
    """Return every model with every resolution as (model, resolution, encoder, settings).

    A model whose encoder takes no resolution stands there once, with resolution 0.

    Raises
    ------
    InputError
        As `encoder_for_model`.
    """
    found = []
    for model in dict.fromkeys(models):
        for resolution in dict.fromkeys(resolutions):
            entry, settings = encoder_for_model(model, resolution)
            one = (model, resolution if entry.takes_resolution else 0, entry.name, settings)
            if one not in found:
                found.append(one)
    return found
