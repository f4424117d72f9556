"""What the matching methods share: the rows that they make, the student's batches, the unit of a step, the check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.core.errors import TrainingError

StepListener = Callable[[int, int, float], None]
"""Called after each outer step with the steps done, all steps and the mean loss."""
STUDENT_BATCH = 1024


@dataclass(frozen=True)
class SyntheticSets:
    """Rows that a matching method made.

    Attributes
    ----------
    rows : (S, m, d) tensor
        One set for each seed.
    losses : (S, steps) float32
        The matching loss of every outer step.
    inner_rate : (S,) float32 or None
        The student's step size, learned with the rows; None where the method has no student.
    """

    rows: Tensor
    losses: NDArray[np.float32]
    inner_rate: NDArray[np.float32] | None = None


def student_batches(count: int, steps: int, generator: torch.Generator) -> list[Tensor]:
    """Return `steps` batches of at most 1,024 of `count` rows; all rows where they fit."""
    if count <= STUDENT_BATCH:
        return [torch.arange(count)] * steps
    batches: list[Tensor] = []
    while len(batches) < steps:
        order = torch.randperm(count, generator=generator)
        batches += [order[i : i + STUDENT_BATCH] for i in range(0, count - STUDENT_BATCH + 1, STUDENT_BATCH)]
    return batches[:steps]


def root_mean_square(rows: Tensor) -> Tensor:
    """Return (S, 1, 1) root mean square of each set's coordinates: the unit of its outer step."""
    return rows.square().mean(dim=(1, 2), keepdim=True).sqrt()


def check_losses(loss: Tensor, sentence: str, hint: str) -> NDArray[np.float32]:
    """Return (S,) losses on the CPU.

    Raises
    ------
    TrainingError
        One is no longer a number.
    """
    losses: NDArray[np.float32] = loss.detach().cpu().numpy()
    if not np.isfinite(losses).all():
        raise TrainingError(sentence, hint)
    return losses
