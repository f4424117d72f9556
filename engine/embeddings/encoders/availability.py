"""What of each encoder is on this machine, what would have to be downloaded, and which encoder serves a data set best.

Nothing here imports torch and nothing is fetched, so a page may ask at every run.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.core.errors import KindredError
from engine.core.settings import Settings
from engine.embeddings.encoders.registry import ENCODERS, EncoderEntry, KnownModel, default_encoder
from engine.embeddings.encoders.weights import AbsentWeightsError, Wanted, files_of, put_by_hand, why_unreachable

_FRESH = 20.0  # seconds that an answer about the network holds


@dataclass(frozen=True)
class Availability:
    """Whether an encoder with its settings can be used now.

    Attributes
    ----------
    state : "here" | "download" | "gated" | "unusable"
        On this machine; on the hub; on the hub behind terms that nobody accepted on this machine; or wrong in a way
        that `sentence` tells.
    megabytes : int or None
        Size of the download, where it is known.
    wanted : Wanted or None
        The missing files of "download" and "gated".
    sentence, hint : str
        What is wrong and the next step; empty for "here".
    """

    state: Literal["here", "download", "gated", "unusable"]
    megabytes: int | None = None
    wanted: Wanted | None = None
    sentence: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Choice:
    """An encoder with settings that a person can choose.

    Attributes
    ----------
    entry : EncoderEntry
    settings : Settings
    model : KnownModel or None
        The known model that the settings name.
    availability : Availability
    """

    entry: EncoderEntry
    settings: Settings
    model: KnownModel | None
    availability: Availability

    @property
    def title(self) -> str:
        """The encoder and its model, for a sentence."""
        return self.model.title if self.model is not None else self.entry.title


def choice(entry: EncoderEntry, settings: Settings) -> Choice:
    """Return an encoder with its settings and what of it is on this machine."""
    return Choice(entry, settings, known_model(entry, settings), availability(entry, settings))


def known_model(entry: EncoderEntry, settings: Settings) -> KnownModel | None:
    """Return the model of the entry's list that the settings name."""
    if getattr(settings, "pretrained", "") or getattr(settings, "checkpoint", ""):
        return None
    return next((model for model in entry.models if model.name == getattr(settings, "model", "")), None)


def availability(entry: EncoderEntry, settings: Settings) -> Availability:
    """Return whether these weights are on this machine; nothing is asked of the network."""
    try:
        entry.revision(settings, download=False)
    except AbsentWeightsError as error:
        model = known_model(entry, settings)
        gated = model is not None and model.gated and not _signed_in()
        megabytes = model.megabytes if model is not None else error.wanted.megabytes
        if not gated:
            return Availability("download", megabytes, error.wanted, error.sentence, error.hint)
        return Availability(
            "gated",
            megabytes,
            error.wanted,
            f"{error.wanted.model} is gated: its terms must be accepted before the weights can be downloaded.",
            f"Accept them at https://huggingface.co/{error.wanted.model}, then sign in on this machine.",
        )
    except KindredError as error:
        return Availability("unusable", sentence=error.sentence, hint=error.hint)
    return Availability("here")


def _signed_in() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


def instructions(wanted: Wanted) -> str:
    """Return what a person types where there is network, and where the files go here: text to be copied."""
    from huggingface_hub import constants

    names = files_of(wanted)
    addresses = [f"{constants.ENDPOINT}/{wanted.model}/resolve/main/{name}" for name in names]
    folder = put_by_hand(wanted.model)
    there = [f"curl -LO {address}" for address in addresses]
    return "\n".join(
        [
            "# where there is network",
            *there,
            "# on this machine, with the files beside you",
            f"mkdir -p '{folder}'",
            f"mv {' '.join(names)} '{folder}/'",
        ]
    )


def repositories_here() -> set[str]:
    """Return the repositories of the hub of which files are on this machine, in the hub's cache or put by hand."""
    from huggingface_hub import constants

    cached = Path(constants.HF_HUB_CACHE).glob("models--*/snapshots")
    by_hand = put_by_hand("x/y").parent.glob("*--*")
    names = [path.parent.name.removeprefix("models--") for path in cached] + [path.name for path in by_hand]
    return {name.replace("--", "/", 1) for name in names}


def choices(*, holds: Literal["photographs", "drawings", "vectors"]) -> tuple[list[Choice], str]:
    """Return what a person may choose for images, the recommended one first, and why it is.

    An encoder that has several models stands there with the first that is on this machine, else with its default.

    Parameters
    ----------
    holds : "photographs" | "drawings"
        What the data set holds.

    Returns
    -------
    found : list of Choice
    reason : str
        One sentence or two.
    """
    found = [_nearest(entry) for entry in ENCODERS.values() if entry.takes == "images"]
    usable = [item for item in found if item.availability.state == "here"]
    default = default_encoder(holds)
    fetched = [item for item in usable if item.entry.needs == "download"]
    if holds == "photographs" and fetched:
        best = max(fetched, key=lambda item: item.entry.reads_text)
        words = ", and words can search its images" if best.entry.reads_text else ""
        reason = f"Its weights are on this disk already{words}."
    else:
        best = next((item for item in found if item.entry is default), found[0])
        reason = "Nothing has to be downloaded."
        if holds == "drawings":
            reason = "These images are drawings or digits: their shape says more than what a photograph shows."
        elif others := [
            item for item in found if item.availability.state == "download" and item.availability.megabytes
        ]:
            named = " or ".join(f"{item.title} ({item.availability.megabytes:,} MB)" for item in _best_two(others))
            reason += f" With network, {named} can tell more apart."
    return [best, *(item for item in found if item is not best)], reason


def _best_two(found: list[Choice]) -> list[Choice]:
    """Return, of what could be downloaded, an encoder that reads text and the smallest other."""
    found = [item for item in found if item.availability.state == "download" and item.availability.megabytes]
    words = [item for item in found if item.entry.reads_text][:1]
    others = sorted((item for item in found if item not in words), key=lambda item: item.availability.megabytes or 0)
    return [*words, *others[:1]]


def _nearest(entry: EncoderEntry) -> Choice:
    """Return an encoder with its first known model that is on this machine, else with its default settings."""
    default = entry.settings_class()
    if entry.needs == "download":
        for model in entry.models:
            settings = entry.settings_for(model.name)
            if availability(entry, settings).state == "here":
                return choice(entry, settings)
    return choice(entry, default)


class _Network:
    """Whether the hub answers, asked in the background and remembered for a short while."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._why: str | None = None
        self._asked = 0.0

    def why_not(self, wait: float) -> str | None:
        with self._lock:
            idle = self._thread is None or not self._thread.is_alive()
            if idle and time.monotonic() - self._asked > _FRESH:
                self._thread = threading.Thread(target=self._ask, daemon=True)
                self._thread.start()
            thread = self._thread
        if thread is not None and self._why is None:
            thread.join(wait)
        return self._why

    def _ask(self) -> None:
        self._why = why_unreachable()
        self._asked = time.monotonic()

    def forget(self) -> None:
        """Ask anew the next time."""
        self._why, self._asked = None, 0.0


_NETWORK = _Network()
forget_network = _NETWORK.forget


def why_offline(*, wait: float = 0.3) -> str | None:
    """Return why nothing can be downloaded, "" where it can; None where nobody knows after `wait` seconds.

    An answer is a few seconds old at most and asked for in the background, so that a page never waits longer.
    """
    return _NETWORK.why_not(wait)
