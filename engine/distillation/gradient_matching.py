"""Linear gradient matching: synthetic rows whose gradient on a linear classifier points where the real one's does.

Source: Cazenavette, Torralba, Sitzmann, "Dataset Distillation for Pre-Trained Self-Supervised Vision
Models", NeurIPS 2025, arXiv:2511.16674. At a tiny random classifier this is class-mean matching.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.distillation.heads import Head, initial_heads, linear_gradient, pick
from engine.distillation.trajectory_matching import Listener, Synthetic, root_mean_square, student_batches
from engine.errors import TrainingError

REAL_BATCH = 2048
RANDOM_SHARE = 0.5


def gradient_distance(real: Head, synthetic: Head) -> Tensor:
    """Return 1 - cosine of two gradients, all parameters as one vector; in [0, 2]."""
    a = torch.cat([part.flatten() for part in real])
    b = torch.cat([part.flatten() for part in synthetic])
    return 1 - F.cosine_similarity(a, b, dim=0, eps=1e-12)


def balanced_batch(labels: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return `size` row numbers with every class equally likely; drawn with replacement."""
    weights = 1.0 / torch.bincount(labels).clamp_min(1).double()[labels]
    found: Tensor = torch.multinomial(weights, size, replacement=True, generator=generator)
    return found


def match_gradients(
    initial: Tensor,
    labels: Tensor,
    real_rows: Tensor,
    real_labels: Tensor,
    path: Sequence[Head],
    *,
    epochs: int,
    step: float,
    seed: int,
    listener: Listener | None = None,
) -> Synthetic:
    """Optimise synthetic rows by linear gradient matching.

    Parameters
    ----------
    initial : (m, d) tensor
        Where the rows start.
    labels : (m,) int64 tensor
    real_rows, real_labels : (n, d), (n,) tensors
        The full set; each step draws a class-balanced batch of at most 2,048.
    path : sequence of Head
        Linear experts after each epoch; half of the steps use a random classifier instead.
    epochs : int
        Passes; each takes one outer step for every expert, as in trajectory matching.

    Raises
    ------
    TrainingError
        The matching loss is no longer a number.
    """
    generator = torch.Generator().manual_seed(seed)
    device = str(initial.device)
    rows = initial.clone().requires_grad_()
    optimiser = torch.optim.Adam([rows], lr=step * root_mean_square(initial))
    experts, classes = path[0][0].shape[0], path[0][0].shape[2]
    total = epochs * experts
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
    on_host = real_labels.cpu()
    losses: list[float] = []
    for number in range(total):
        if float(torch.rand(1, generator=generator)) < RANDOM_SHARE:
            head = initial_heads(1, initial.shape[1], classes, hidden=0, seed=seed * 1_000_003 + number, device=device)
        else:
            at = int(torch.randint(1, len(path), (1,), generator=generator))
            head = pick(path[at], number % experts)
        picked = balanced_batch(on_host, min(REAL_BATCH, len(on_host)), generator).to(device)
        own = student_batches(len(rows), 1, generator)[0].to(device)
        loss = gradient_distance(
            linear_gradient(head, real_rows[picked], real_labels[picked]),
            linear_gradient(head, rows[own], labels[own]),
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise TrainingError("Gradient matching diverged.", "Lower distill_lr.")
        if listener is not None:
            listener(len(losses), total, losses[-1])
    return Synthetic(rows.detach(), losses)
