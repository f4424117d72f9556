"""Linear gradient matching: synthetic rows whose gradient on a linear classifier points where the real one's does.

Source: Cazenavette, Torralba, Sitzmann, "Dataset Distillation for Pre-Trained Self-Supervised Vision
Models", NeurIPS 2025, arXiv:2511.16674. At a tiny random classifier this is class-mean matching.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.distillation.heads import Head, initial_heads, linear_gradient
from engine.distillation.matching import StepListener, SyntheticSets, check_losses, root_mean_square, student_batches

# Up to so many rows each step takes all, weighed by class; beyond, it draws so many for each seed.
REAL_ROWS, REAL_BATCH = 8192, 2048
RANDOM_SHARE = 0.5


def gradient_distance(real: Head, synthetic: Head) -> Tensor:
    """Return (S,) 1 - cosine of two gradients, all parameters of a head as one vector; in [0, 2]."""
    a = torch.cat([part.flatten(1) for part in real], dim=1)
    b = torch.cat([part.flatten(1) for part in synthetic], dim=1)
    return 1 - F.cosine_similarity(a, b, dim=1, eps=1e-12)


def balanced_batch(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return `size` row numbers with every class equally likely; drawn with replacement."""
    weights = 1.0 / torch.bincount(labels).clamp_min(1).double()[labels]
    rows: Tensor = torch.multinomial(weights, size, replacement=True, generator=generator)
    return rows


def match_gradients(
    initial: Tensor,
    labels: Tensor,
    real_rows: Tensor,
    real_labels: Tensor,
    path: Head,
    *,
    seeds: Sequence[int],
    epochs: int,
    step: float,
    listener: StepListener | None = None,
) -> SyntheticSets:
    """Optimise synthetic rows by linear gradient matching, the sets of all seeds side by side.

    Parameters
    ----------
    initial : (S, m, d) tensor
        Where the rows start.
    labels : (m,) int64 tensor
    real_rows, real_labels : (n, d), (n,) tensors
        The full set, in which every class weighs the same; of more than 8,192 rows each step draws 2,048.
    path : Head with an epoch axis
        Linear experts of all seeds; half of the steps use a random classifier instead.
    seeds : sequence of int
        One for each set; a set does not depend on the other seeds.
    epochs : int
        Passes; each takes one outer step for every expert, as in trajectory matching.

    Raises
    ------
    TrainingError
        The matching loss is no longer a number.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    order = torch.Generator().manual_seed(0)
    unit = root_mean_square(initial)
    moving = (initial / unit).requires_grad_()
    optimiser = torch.optim.Adam([moving], lr=step)
    experts = path[0].shape[1] // len(seeds)
    total = epochs * experts
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
    on_host = real_labels.cpu()
    drawn = len(on_host) > REAL_ROWS
    counts = torch.bincount(real_labels)
    weights = 1 / (counts[real_labels] * (counts > 0).sum())
    losses: list[NDArray[np.float32]] = []
    while len(losses) < total:
        rows = moving * unit
        heads = [
            _sample_head(path, i * experts + len(losses) % experts, seed * 1_000_003 + len(losses), g)
            for i, (seed, g) in enumerate(zip(seeds, generators, strict=True))
        ]
        head = tuple(torch.cat(parts) for parts in zip(*heads, strict=True))
        if drawn:
            picked = torch.stack([balanced_batch(on_host, REAL_BATCH, g) for g in generators]).to(rows.device)
            real = linear_gradient(head, real_rows[picked], real_labels[picked])
        else:
            real = linear_gradient(head, real_rows, real_labels, weights)
        own = student_batches(rows.shape[1], 1, order)[0].to(rows.device)
        loss = gradient_distance(real, linear_gradient(head, rows[:, own], labels[own]))
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        losses.append(check_losses(loss, "Gradient matching diverged.", "Lower distill_lr."))
        if listener is not None:
            listener(len(losses), total, float(losses[-1].mean()))
    return SyntheticSets((moving * unit).detach(), np.stack(losses, axis=1))


def _sample_head(path: Head, index: int, seed: int, generator: torch.Generator) -> Head:
    """Return a random classifier, or one partly trained expert, with a leading axis of 1."""
    weight = path[0]
    if float(torch.rand(1, generator=generator)) < RANDOM_SHARE:
        return initial_heads(1, weight.shape[2], weight.shape[3], hidden=0, seed=seed, device=str(weight.device))
    at = int(torch.randint(1, len(weight), (1,), generator=generator))
    return tuple(part[at, index : index + 1] for part in path)
