"""The registry of encoders: adding one is one file and one line in `ENCODERS`.

An encoder is a class built from its settings model; weights are loaded in `__init__`, and
`encode(batch)` turns uint8 images into float32 vectors. Nothing heavy is imported until asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol

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
    """

    name: str
    title: str
    megabytes: int
    dimension: int
    side: int = 224
    gated: bool = False


@dataclass(frozen=True)
class EncoderEntry:
    """An encoder as pages, command line and tests see it; its settings are `<class>Settings` beside it."""

    name: str
    title: str
    sentence: str
    module: str
    encoder: str
    takes: Literal["images", "vectors"] = "images"

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
        "descriptor",
        "Descriptor",
        "Built in, no download: shape, texture and colour; works anywhere.",
        "engine.embeddings.encoders.descriptor",
        "Descriptor",
    ),
    EncoderEntry(
        "clip",
        "CLIP",
        "Knows what is in a photograph; the best start for everyday images.",
        "engine.embeddings.encoders.clip",
        "Clip",
    ),
    EncoderEntry(
        "dino",
        "DINO",
        "Looks at form and texture, without words; good for fine visual differences.",
        "engine.embeddings.encoders.dino",
        "Dino",
    ),
    EncoderEntry(
        "precomputed",
        "Your own vectors",
        "Vectors that you computed elsewhere: .npy, .npz or .parquet.",
        "engine.embeddings.encoders.precomputed",
        "Precomputed",
        takes="vectors",
    ),
    EncoderEntry(
        "hadis",
        "Trained here (HaDis)",
        "A network that HaDis trained on your own images.",
        "engine.embeddings.encoders.resnet",
        "Resnet",
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
