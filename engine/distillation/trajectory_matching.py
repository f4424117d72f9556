"""Trajectory matching: move synthetic rows until a student trained on them walks where experts walked.

The inner loop is functional, so the outer loss differentiates through every student step. Source:
Cazenavette et al., "Dataset Distillation by Matching Training Trajectories", CVPR 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.distillation.heads import EXPERT_RATE, Head, gradient, pick
from engine.errors import TrainingError

Listener = Callable[[int, int, float], None]
STUDENT_BATCH = 1024


@dataclass
class Synthetic:
    """Rows that a matching method made.

    Attributes
    ----------
    rows : (m, d) tensor
    losses : list of float
        The matching loss of every outer step.
    inner_rate : float or None
        The student's step size, learned with the rows; None where the method has no student.
    """

    rows: Tensor
    losses: list[float] = field(default_factory=list)
    inner_rate: float | None = None


def inner_loop(head: Head, rows: Tensor, labels: Tensor, rate: Tensor, batches: Sequence[Tensor]) -> Head:
    """Return the head after one SGD step on each batch of `rows`; new tensors, the graph kept.

    Parameters
    ----------
    head : Head
        The student's start.
    rows : (m, d) tensor
    labels : (m,) int64 tensor
    rate : scalar tensor
        Step size; differentiable.
    batches : sequence of int64 tensors
        Row numbers of each step.
    """
    for batch in batches:
        slopes = gradient(head, rows[batch], labels[batch])
        head = tuple(part - rate * slope for part, slope in zip(head, slopes, strict=True))
    return head


def matching_loss(student: Head, start: Head, goal: Head) -> Tensor:
    """Return |student - goal|^2 / |start - goal|^2 over all parameters; 1 for a student that stood still."""
    missed = torch.stack([(a - b).square().sum() for a, b in zip(student, goal, strict=True)]).sum()
    way = torch.stack([(a - b).square().sum() for a, b in zip(start, goal, strict=True)]).sum()
    return missed / way.clamp_min(1e-12)


def student_batches(count: int, steps: int, generator: torch.Generator) -> list[Tensor]:
    """Return `steps` batches of at most 1,024 of `count` rows; all rows where they fit."""
    if count <= STUDENT_BATCH:
        return [torch.arange(count)] * steps
    found: list[Tensor] = []
    while len(found) < steps:
        order = torch.randperm(count, generator=generator)
        found += [order[i : i + STUDENT_BATCH] for i in range(0, count - STUDENT_BATCH + 1, STUDENT_BATCH)]
    return found[:steps]


def root_mean_square(rows: Tensor) -> float:
    """Return the root mean square of the coordinates: the unit of the outer step."""
    return float(rows.square().mean().sqrt())


def _raw_rate(rate: float) -> float:
    return math.log(math.expm1(rate))


def match_trajectories(
    initial: Tensor,
    labels: Tensor,
    path: Sequence[Head],
    *,
    epochs: int,
    step: float,
    inner_steps: int,
    match_epochs: int,
    expert_steps: int,
    seed: int,
    free: Tensor | None = None,
    listener: Listener | None = None,
) -> Synthetic:
    """Optimise synthetic rows by trajectory matching.

    Parameters
    ----------
    initial : (m, d) tensor
        Where the rows start.
    labels : (m,) int64 tensor
        Their classes; fixed.
    path : sequence of Head
        Experts after each epoch, from `expert_trajectories`.
    epochs : int
        Passes; each takes one outer step for every expert.
    step : float
        Adam's step in units of the rows' root mean square, cosine to 0.
    inner_steps, match_epochs : int
        N student steps imitate M expert epochs.
    expert_steps : int
        SGD steps in an expert epoch; the student's first rate covers the same way.
    free : (f,) int64 tensor, optional
        The rows that may move; all when absent. The others stay bit for bit.

    Raises
    ------
    TrainingError
        The matching loss is no longer a number.
    """
    generator = torch.Generator().manual_seed(seed)
    free = torch.arange(len(initial)) if free is None else free
    free = free.to(initial.device)
    moving = initial[free].clone().requires_grad_()
    first = min(2.0, EXPERT_RATE * match_epochs * expert_steps / inner_steps)
    raw = torch.tensor(_raw_rate(first), device=initial.device, requires_grad=True)
    optimiser = torch.optim.Adam(
        [{"params": [moving], "lr": step * root_mean_square(initial)}, {"params": [raw], "lr": 0.02}]
    )
    experts, total = path[0][0].shape[0], epochs * path[0][0].shape[0]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
    latest = max(0, (len(path) - 1) // 2 - match_epochs)
    losses: list[float] = []
    for _ in range(epochs):
        for expert in torch.randperm(experts, generator=generator).tolist():
            at = int(torch.randint(latest + 1, (1,), generator=generator))
            start, goal = pick(path[at], expert), pick(path[at + match_epochs], expert)
            rows = initial.index_copy(0, free, moving)
            batches = student_batches(len(rows), inner_steps, generator)
            student = inner_loop(start, rows, labels, F.softplus(raw), batches)
            loss = matching_loss(student, start, goal)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise TrainingError("Trajectory matching diverged.", "Lower distill_lr or inner_epochs.")
            if listener is not None:
                listener(len(losses), total, losses[-1])
    rows = initial.index_copy(0, free, moving.detach())
    return Synthetic(rows, losses, float(F.softplus(raw.detach())))
