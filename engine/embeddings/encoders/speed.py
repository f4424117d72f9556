"""How many images a second an encoder takes on this machine: measured in two seconds, kept, or estimated from another.

`python -m engine.embeddings.encoders.speed WORKSPACE` measures, one after the other, the encoders that its input names;
a page starts it as a process of its own, so that it neither waits nor imports torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from engine.core.device import threads
from engine.core.errors import StorageError
from engine.core.files import read_json, write_json
from engine.core.settings import Settings
from engine.core.workspace import PROGRAM, Workspace
from engine.embeddings.encoders.availability import known_model
from engine.embeddings.encoders.registry import EncoderEntry, find_encoder

SECONDS = 2.0
_AGAIN = 3600.0  # seconds until a measurement that failed is tried again

Pair = tuple[EncoderEntry, Settings]


@dataclass(frozen=True)
class Speed:
    """How fast an encoder is.

    Attributes
    ----------
    images_per_second : float
    device : str
        Where it was measured: "cpu", "cuda".
    estimated_from : str
        The title of the encoder whose measurement this is derived from; empty where this one was measured.
    """

    images_per_second: float
    device: str
    estimated_from: str = ""


def measure(entry: EncoderEntry, settings: Settings, *, seconds: float = SECONDS, device: str = "auto") -> Speed:
    """Encode noise for `seconds` and return the rate; reading and decoding images are not in it.

    Raises
    ------
    KindredError
        The encoder cannot be built.
    """
    encoder = entry.build(settings, device=device)
    size = max(1, min(encoder.batch_size, 64))
    batch = np.random.default_rng(0).integers(0, 256, (size, encoder.side, encoder.side, 3), dtype=np.uint8)
    encoder.encode(batch)
    began, done = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds or not done:
        encoder.encode(batch)
        done += size
    return Speed(done / passed if passed else 0.0, encoder.device)


def kept_speed(workspace: Workspace, entry: EncoderEntry, settings: Settings) -> Speed | None:
    """Return what was measured of an encoder on this machine; None where nothing was, or it failed."""
    kept = _read(workspace, entry, settings)
    rate = float(kept.get("images_per_second") or 0)
    return Speed(rate, str(kept.get("device", ""))) if rate > 0 else None


def speed(workspace: Workspace, entry: EncoderEntry, settings: Settings, measured: Sequence[Pair]) -> Speed | None:
    """Return what was measured of an encoder, else an estimate from what was measured of another.

    Parameters
    ----------
    measured : sequence of (entry, settings)
        Encoders that may have been measured. An estimate takes the one whose work for an image is nearest and
        supposes that time grows with the multiply-adds.
    """
    kept = kept_speed(workspace, entry, settings)
    work = _work(entry, settings)
    if kept is not None or not work:
        return kept
    found = []
    for other, its in measured:
        known, works = kept_speed(workspace, other, its), _work(other, its)
        if known is not None and works:
            found.append((abs(np.log(works / work)), known.images_per_second * works / work, known.device, other.title))
    if not found:
        return None
    _, rate, device, title = min(found)
    return Speed(rate, device, title)


def _work(entry: EncoderEntry, settings: Settings) -> float:
    """Return billions of multiply-adds for one image, at the resolution of the settings; 0 where nobody knows."""
    model = known_model(entry, settings)
    work, side = (model.work, model.side) if model is not None else (entry.work, 224)
    return work * ((getattr(settings, "resolution", None) or side) / side) ** 2


def unmeasured(workspace: Workspace, pairs: Sequence[Pair]) -> list[Pair]:
    """Return those that were not measured on this machine, nor tried in the last hour."""
    found = []
    for entry, settings in pairs:
        kept = _read(workspace, entry, settings)
        if not kept or (not kept.get("images_per_second") and time.time() - float(kept.get("made", 0)) > _AGAIN):
            found.append((entry, settings))
    return found


def start_measuring(workspace: Workspace, pairs: Sequence[Pair]) -> None:
    """Measure in a process of its own; one measures at a time, and what is asked meanwhile is asked again later."""
    asked = [{"encoder": entry.name, "settings": settings.model_dump(mode="json")} for entry, settings in pairs]
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.embeddings.encoders.speed", str(workspace.root)],
        cwd=PROGRAM,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(asked).encode())
    process.stdin.close()


def measuring(workspace: Workspace) -> bool:
    """Return whether such a process is at work."""
    try:
        with _lock(workspace).acquire(timeout=0):
            return False
    except Timeout:
        return True


def measure_all(workspace: Workspace, pairs: Sequence[Pair]) -> None:
    """Measure and keep what was not measured yet; what fails is not tried again at once."""
    try:
        with _lock(workspace).acquire(timeout=0):
            for entry, settings in unmeasured(workspace, pairs):
                kept: dict[str, Any] = {"encoder": entry.name, "made": time.time()}
                try:
                    found = measure(entry, settings)
                    kept |= {"images_per_second": found.images_per_second, "device": found.device}
                except Exception as error:  # a page shows no speed then; embedding itself will tell the reason
                    kept["failed"] = str(error)
                write_json(_path(workspace, entry, settings), kept)
    except Timeout:
        return


def _lock(workspace: Workspace) -> FileLock:
    workspace.locks.mkdir(parents=True, exist_ok=True)
    return FileLock(workspace.locks / "speed.lock")


def _read(workspace: Workspace, entry: EncoderEntry, settings: Settings) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = read_json(_path(workspace, entry, settings))
    except StorageError:
        return {}
    return kept


def _path(workspace: Workspace, entry: EncoderEntry, settings: Settings) -> Path:
    """Return where a measurement is kept: under the machine, the encoder and its settings."""
    machine = [platform.node(), platform.machine(), os.cpu_count(), threads()]
    text = json.dumps([machine, entry.name, settings.key()])
    return workspace.cache / "speeds" / f"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}.json"


def main() -> None:
    """Measure what standard input names."""
    asked = [(find_encoder(item["encoder"]), item["settings"]) for item in json.load(sys.stdin)]
    workspace = Workspace.open(sys.argv[1])
    measure_all(workspace, [(entry, entry.settings_class.parse(values)) for entry, values in asked])


if __name__ == "__main__":
    main()
