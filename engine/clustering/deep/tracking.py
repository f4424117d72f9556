"""Experiment tracking, off by default: what a training reports also goes to TensorBoard or Weights & Biases.

Neither is needed or installed with Kindred; losses and rates are written, never images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import Progress

Tracking = Literal["none", "tensorboard", "wandb"]
Write = Callable[[dict[str, float], int], Any]


class Tracked:
    """A listener that passes everything on and writes a training's numbers, by step."""

    def __init__(self, progress: Progress, write: Write) -> None:
        self._progress, self._write = progress, write

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        """Write the numbers and pass on."""
        values = {name: value for name, value in metrics.items() if name != "seconds_left"}
        if values:
            self._write(values, int(done))
        self._progress.update(done, total, phase=phase, unit=unit, **metrics)

    def say(self, sentence: str) -> None:
        """Pass on."""
        self._progress.say(sentence)

    def snapshot(self, labels: NDArray[np.int32]) -> None:
        """Pass on."""
        self._progress.snapshot(labels)

    def stop_requested(self) -> bool:
        """Pass on."""
        return self._progress.stop_requested()


@contextmanager
def tracked(kind: Tracking, folder: Path, progress: Progress) -> Iterator[Progress]:
    """Yield a listener that also tracks; the given one itself where `kind` is "none".

    Parameters
    ----------
    folder : Path
        The run; TensorBoard's files go below it, Weights & Biases calls the run by its name.

    Raises
    ------
    InputError
        The tracker is not installed.
    """
    if kind == "none":
        yield progress
        return
    write, close = (_tensorboard if kind == "tensorboard" else _wandb)(folder)
    try:
        yield Tracked(progress, write)
    finally:
        close()


def _tensorboard(folder: Path) -> tuple[Write, Callable[[], Any]]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("TensorBoard is not installed.", "Install tensorboard, or switch tracking off.") from error
    writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def write(values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return write, writer.close


def _wandb(folder: Path) -> tuple[Write, Callable[[], Any]]:
    try:
        import wandb  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise InputError("Weights & Biases is not installed.", "Install wandb, or switch tracking off.") from error
    run: Any = wandb.init(project="kindred", name=folder.name, dir=str(folder))
    return lambda values, step: run.log(values, step=step), run.finish
