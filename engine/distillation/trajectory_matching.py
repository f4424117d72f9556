"""Trajectory matching: move synthetic rows until a student trained on them walks where experts walked.

The inner loop is functional, so the outer loss differentiates through every student step. Source:
Cazenavette et al., "Dataset Distillation by Matching Training Trajectories", CVPR 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.distillation.heads import EXPERT_RATE, Head, gradient, one_hot
from engine.distillation.matching import StepListener, SyntheticSets, check_losses, root_mean_square, student_batches


def inner_loop(head: Head, rows: Tensor, labels: Tensor, rate: Tensor, batches: Sequence[Tensor]) -> Head:
    """Return the head after one SGD step on each batch of `rows`; new tensors, the graph kept.

    Parameters
    ----------
    head : Head
        The student's start.
    rows : (m, d) or (S, m, d) tensor
        One set for all students or one for each.
    labels : (m,) int64 tensor
    rate : scalar or (S, 1, 1) tensor
        Step size; differentiable.
    batches : sequence of int64 tensors
        Row numbers of each step.
    """
    if len(head) == 2:
        return _linear_loop(head, rows, labels, rate, batches)
    for batch in batches:
        slopes = gradient(head, rows[..., batch, :], labels[batch])
        head = tuple(part - rate * slope for part, slope in zip(head, slopes, strict=True))
    return head


def _linear_loop(head: Head, rows: Tensor, labels: Tensor, rate: Tensor, batches: Sequence[Tensor]) -> Head:
    """Return what `inner_loop` does for a linear head, with fewer and smaller products.

    Where every step takes all of at most d rows, the steps are taken among the rows: the scores change by the rows'
    inner products, and the weights once at the end.
    """
    weight, bias = head
    target = one_hot(labels, weight.shape[-1], rows.dtype)
    count, dimension = rows.shape[-2:]
    whole = len(batches[0]) == count
    if whole and count <= dimension:
        across, scale = rows.transpose(-1, -2), rate / count
        products = torch.matmul(rows, across) + 1  # the bias is a coordinate that is 1 in every row
        scores, moved = torch.matmul(rows, weight) + bias, torch.zeros((), dtype=rows.dtype, device=rows.device)
        for _ in batches:
            error = (torch.softmax(scores, dim=-1) - target) * scale
            moved = moved + error
            scores = scores - torch.matmul(products, error)
        return weight - torch.matmul(across, moved), bias - moved.sum(dim=-2, keepdim=True)
    for batch in batches:
        part, wanted = (rows, target) if whole else (rows[..., batch, :], target[batch])
        error = (torch.softmax(torch.matmul(part, weight) + bias, dim=-1) - wanted) * (rate / len(batch))
        weight = weight - torch.matmul(part.transpose(-1, -2), error)
        bias = bias - error.sum(dim=-2, keepdim=True)
    return weight, bias


def matching_loss(student: Head, start: Head, goal: Head) -> Tensor:
    """Return (S,) |student - goal|^2 / |start - goal|^2 over all parameters; 1 for a student that stood still."""
    missed = torch.stack([(a - b).square().sum(dim=(1, 2)) for a, b in zip(student, goal, strict=True)]).sum(dim=0)
    way = torch.stack([(a - b).square().sum(dim=(1, 2)) for a, b in zip(start, goal, strict=True)]).sum(dim=0)
    return missed / way.detach().clamp_min(1e-12)


def match_trajectories(
    initial: Tensor,
    labels: Tensor,
    path: Head,
    *,
    seeds: Sequence[int],
    epochs: int,
    step: float,
    inner_steps: int,
    match_epochs: int,
    expert_steps: int,
    free: Tensor | None = None,
    listener: StepListener | None = None,
) -> SyntheticSets:
    """Optimise synthetic rows by trajectory matching, the sets of all seeds side by side.

    Parameters
    ----------
    initial : (S, m, d) tensor
        Where the rows start.
    labels : (m,) int64 tensor
        Their classes; fixed.
    path : Head with an epoch axis
        Experts of all seeds, from `expert_trajectories`.
    seeds : sequence of int
        One for each set; a set does not depend on the other seeds.
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
    sets, device = len(seeds), initial.device
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    order = torch.Generator().manual_seed(0)
    free = (torch.arange(initial.shape[1]) if free is None else free).to(device)
    unit = root_mean_square(initial)
    moving = (initial[:, free] / unit).requires_grad_()
    first = min(2.0, EXPERT_RATE * match_epochs * expert_steps / inner_steps)
    raw = torch.full((sets, 1, 1), math.log(math.expm1(first)), device=device, requires_grad=True)
    optimiser = torch.optim.Adam([{"params": [moving], "lr": step}, {"params": [raw], "lr": 0.02}])
    experts = path[0].shape[1] // sets
    total = epochs * experts
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
    latest = max(0, (path[0].shape[0] - 1) // 2 - match_epochs)
    offset = torch.arange(sets) * experts
    losses: list[NDArray[np.float32]] = []
    turns = torch.empty(sets, 0, dtype=torch.int64)
    while len(losses) < total:
        if not len(losses) % experts:
            turns = torch.stack([torch.randperm(experts, generator=g) for g in generators])
        at = torch.cat([torch.randint(latest + 1, (1,), generator=g) for g in generators])
        head = turns[:, len(losses) % experts] + offset
        start, goal = (tuple(part[when, head] for part in path) for when in (at, at + match_epochs))
        rows = initial.index_copy(1, free, moving * unit)
        batches = student_batches(rows.shape[1], inner_steps, order)
        student = inner_loop(start, rows, labels, F.softplus(raw), batches)
        loss = matching_loss(student, start, goal)
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        losses.append(check_losses(loss, "Trajectory matching diverged.", "Lower distill_lr or inner_epochs."))
        if listener is not None:
            listener(len(losses), total, float(losses[-1].mean()))
    rows = initial.index_copy(1, free, moving.detach() * unit)
    rates = F.softplus(raw.detach()).flatten().cpu().numpy()
    return SyntheticSets(rows, np.stack(losses, axis=1), rates)
