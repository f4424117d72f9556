"""Checkpoints of deep methods: all that a run needs to go on bit for bit, written atomically.

A checkpoint names its method, its settings and its data. Two are kept. What the optimiser remembers is often twice as
large as the network and lies in a file beside the newest one only. Loading never unpickles code, a damaged file is told
and the one before it is used, and a checkpoint of another configuration is refused naming the field.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.core.device import Reproducible, reproducible
from engine.core.errors import CheckpointError, StorageError
from engine.core.files import TENSOR_DAMAGE, replace_file
from engine.core.settings import Settings, controls

FORMAT = 1
KEPT = 2
# Settings that say how long a training is, or that a preset derives from that.
LENGTH = {"n_epochs", "warmup_epochs", "warmup_steps", "min_steps"}
_NAME = re.compile(r"checkpoint_epoch(\d+)(?:_step(\d+))?\.pt")


def fingerprint(embeddings: NDArray[Any]) -> str:
    """Return 16 hex digits that name a table: its shape and up to 64 of its rows."""
    digest = hashlib.blake2b(repr(tuple(embeddings.shape)).encode(), digest_size=8)
    rows = np.unique(np.linspace(0, len(embeddings) - 1, 64).astype(np.int64))
    digest.update(np.ascontiguousarray(embeddings[rows], dtype=np.float32).tobytes())
    return digest.hexdigest()


def comparable(settings: Settings) -> dict[str, Any]:
    """Return the settings that decide a result, as plain JSON values: those that are not runtime."""
    kept = {control.name for control in controls(type(settings)) if not control.runtime}
    return {name: value for name, value in settings.model_dump(mode="json").items() if name in kept}


def save_tensors(path: Path, payload: Mapping[str, Any]) -> None:
    """Write tensors and plain values atomically, in a form that `load_tensors` reads back.

    Raises
    ------
    StorageError
        Disk full or no permission; an earlier file of that name stays whole.
    """
    buffer = io.BytesIO()
    torch.save(dict(payload), buffer)
    replace_file(path, lambda file: file.write(buffer.getbuffer()))


def load_tensors(path: Path) -> dict[str, Any]:
    """Read what `save_tensors` wrote, onto the CPU; nothing in the file is executed.

    Raises
    ------
    CheckpointError
        Missing, cut short, or not such a file.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no file {path.name}.", "Check the name, or train again.")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except TENSOR_DAMAGE as error:
        raise CheckpointError(f"{path.name} is damaged and cannot be read.", "Delete it and train again.") from error
    if not isinstance(loaded, dict) or loaded.get("format") != FORMAT:
        raise CheckpointError(
            f"{path.name} is not a checkpoint that this version reads.", "Delete it or start a new run."
        )
    return loaded


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Return (epoch, path) of the checkpoints in `folder`, newest first."""
    found = [
        (int(match[1]), int(match[2] or 0), path)
        for path in folder.glob("*.pt")
        if (match := _NAME.fullmatch(path.name))
    ]
    return [(epoch, path) for epoch, _, path in sorted(found, reverse=True)]


def optimiser_file(checkpoint: Path) -> Path:
    """Return where the state of the optimiser lies that belongs to a checkpoint."""
    return checkpoint.with_name(checkpoint.name.replace("checkpoint_", "optimiser_", 1))


def save_checkpoint(
    folder: Path, epoch: int, payload: Mapping[str, Any], *, optimiser: Mapping[str, Any], step: int | None = None
) -> Path:
    """Write a checkpoint and its optimiser's state, and drop all but the newest `KEPT` and this one's optimiser.

    The optimiser's file is written first and the one before it is dropped last, so a crash at any moment leaves a
    checkpoint that goes on bit for bit.

    Parameters
    ----------
    step : int, optional
        The optimiser steps done, inside an epoch; None where `epoch` epochs are whole.

    Raises
    ------
    StorageError
        Disk full or no permission; earlier checkpoints stay whole.
    """
    name = f"checkpoint_epoch{epoch}" + ("" if step is None else f"_step{step}")
    path = folder / f"{name}.pt"
    beside = optimiser_file(path)
    known = beside.exists()
    save_tensors(beside, {"format": FORMAT, "optimiser": dict(optimiser)})
    try:
        save_tensors(path, {"format": FORMAT, "epoch": epoch, **payload})
    except StorageError:
        if not known:
            beside.unlink(missing_ok=True)
        raise
    for _, old in list_checkpoints(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    for other in folder.glob("optimiser_epoch*.pt"):
        if other != beside:
            other.unlink(missing_ok=True)
    return path


def refuse_other(
    path: Path,
    loaded: Mapping[str, Any],
    *,
    method: str,
    settings: Mapping[str, Any],
    data: str,
    defaults: Mapping[str, Any],
) -> None:
    """Refuse a checkpoint of another method, configuration or table; more epochs than it was made for go on from it.

    A setting that the checkpoint does not know, because it was added later, had its default then.

    Raises
    ------
    CheckpointError
        Names the first field that differs, with both values.
    """
    hint = "Start a new run, or resume with the settings of the old one."
    if loaded["method"] != method:
        raise CheckpointError(f"{path.name} belongs to {loaded['method']}, not to {method}.", hint)
    stored: dict[str, Any] = json.loads(loaded["settings"])
    longer = settings.get("n_epochs", 0) > stored.get("n_epochs", 0)
    for name in [*settings, *(name for name in stored if name not in settings)]:
        before, now = stored.get(name, defaults.get(name)), settings.get(name)
        if before != now and not (longer and name in LENGTH):
            raise CheckpointError(
                f"{path.name} was made with another configuration: {name} was {before!r}, now it is {now!r}.", hint
            )
    if loaded["data"] != data:
        raise CheckpointError(
            f"{path.name} was made from other embeddings than these.", "Start a new run for these embeddings."
        )


def load_newest(
    folder: Path, *, method: str, settings: Mapping[str, Any], data: str, defaults: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the newest readable checkpoint of this configuration and what to tell about damaged ones.

    Its "optimiser" is None where the state of the optimiser is not there any more.

    Raises
    ------
    CheckpointError
        All are damaged, or it belongs to another configuration.
    """
    told: list[str] = []
    damaged: CheckpointError | None = None
    for _, path in list_checkpoints(folder):
        try:
            loaded = load_tensors(path)
        except CheckpointError as error:
            told.append(f"{error.sentence} The one before it is used.")
            damaged = error
            continue
        refuse_other(path, loaded, method=method, settings=settings, data=data, defaults=defaults)
        if "optimiser" not in loaded:  # earlier versions kept it in the checkpoint itself
            try:
                loaded["optimiser"] = load_tensors(optimiser_file(path))["optimiser"]
            except CheckpointError:
                loaded["optimiser"] = None
                told.append("The optimiser's state is not there: it starts afresh, so the result will differ a little.")
        return loaded, told
    if damaged is not None:
        raise CheckpointError(damaged.sentence, "No other checkpoint is left: delete it and train again.")
    return None, told


def generator_states(device: torch.device, rng: np.random.Generator, generator: torch.Generator) -> dict[str, Any]:
    """Return the state of every random generator of a run."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "generator": generator.get_state(),
        "numpy": json.dumps(rng.bit_generator.state),
    }


def restore_generators(
    states: Mapping[str, Any], device: torch.device, rng: np.random.Generator, generator: torch.Generator
) -> None:
    """Put every random generator back to where `generator_states` saw it."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    generator.set_state(states["generator"])
    rng.bit_generator.state = json.loads(states["numpy"])


@contextmanager
def seeded(seed: int, device: torch.device, wanted: Reproducible = "auto") -> Iterator[None]:
    """Seed torch for a run and give the process its own random state back afterwards.

    Where `reproducible` holds, a resumed run equals an uninterrupted one.
    """
    gpus = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus, enabled=True), reproducible(device, wanted):
        torch.manual_seed(seed)
        yield
