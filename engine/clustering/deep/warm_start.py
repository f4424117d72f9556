"""How deep training begins and how it is judged: warm start by cross-entropy, collapse, and "did not train".

A warm start fits the network to a first clustering for a few hundred steps, then the method's own objective
takes over. The checks turn a result that nobody should trust into a sentence instead of silent labels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engine.clustering.deep.trainer import Trainer
from engine.core.errors import TrainingError

LogitsOfRows = Callable[[Tensor, Trainer], Tensor]


def fit_to_labels(
    run: Trainer,
    labels: NDArray[np.int32],
    logits: LogitsOfRows,
    *,
    n_steps: int = 200,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    label_smoothing: float = 0.0,
) -> float:
    """Fit the network to a clustering by cross-entropy, then make the teacher its copy.

    Parameters
    ----------
    run : Trainer
        Not yet trained; its optimiser is not touched, its generator draws the batches.
    labels : (n,) int32
        The clustering to start from; -1 rows are left out.
    logits : function
        (b,) row numbers -> (..., b, K) logits with gradient; leading axes (heads) are averaged over.
    n_steps : int
        Steps of AdamW at `learning_rate`, cosine to zero.
    label_smoothing : float
        Share of each target spread over all clusters; bounds the logits.

    Returns
    -------
    float
        The cross-entropy of the last step, in nats.

    Raises
    ------
    TrainingError
        The cross-entropy became NaN.
    """
    known = torch.from_numpy(np.flatnonzero(labels >= 0))
    wanted = torch.from_numpy(labels.astype(np.int64)).to(run.device)
    parameters = [parameter for parameter in run.model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    batch = min(run.plan.batch_size, len(known))
    run.model.train()
    value = float("nan")
    for step in range(n_steps):
        rows = known[torch.randint(len(known), (batch,), generator=run.generator)]
        with run.autocast():
            found = logits(rows, run)
        target = wanted[rows.to(run.device)].expand(found.shape[:-1])
        loss = functional.cross_entropy(
            found.float().flatten(0, -2), target.reshape(-1), label_smoothing=label_smoothing
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 10 == 9 or step == n_steps - 1:
            value = float(loss.detach())
            run.progress.update(step + 1, n_steps, phase="warm start", unit="steps", cross_entropy=value)
            if not np.isfinite(value):
                raise TrainingError(
                    f"The warm start stopped at step {step + 1}: its cross-entropy became NaN.",
                    "Lower the learning rate, or start without a warm start.",
                )
    run.optimiser.zero_grad(set_to_none=True)
    run.reset_teacher()
    return value


def did_not_train(
    losses: NDArray[np.float32], *, starting_loss: float | None = None, least_change: float = 0.25
) -> str | None:
    """Return a sentence when the loss has not left its starting plateau, else None.

    Parameters
    ----------
    losses : (steps,) float32
        Loss of each step.
    starting_loss : float, optional
        The loss at random weights; the mean of the first twentieth of the steps when absent.
    least_change : float
        The drop that counts as training, as a share of the size of the starting loss.
    """
    if len(losses) == 0:
        return "It did not train: no step was made."
    window = max(1, len(losses) // 20)
    begin = float(np.mean(losses[:window])) if starting_loss is None else starting_loss
    end = float(np.mean(losses[-window:]))
    if begin - end >= least_change * max(abs(begin), 1e-6):
        return None
    return (
        f"It did not train: loss {begin:.2f} -> {end:.2f} after {len(losses):,} steps. "
        "Train longer, raise the learning rate or use a warm start; the labels are not to be trusted."
    )


def collapse(labels: NDArray[np.int32], n_clusters: int) -> str | None:
    """Return a sentence when the clustering has collapsed or many clusters are empty, else None.

    Collapsed: one cluster holds more than half of the images though an even share would be at most a fifth,
    or fewer than half of the clusters hold any image.
    """
    kept = labels[labels >= 0]
    if len(kept) == 0:
        return "It collapsed: no image was assigned to a cluster."
    sizes = np.bincount(kept, minlength=n_clusters)
    active, largest = int((sizes > 0).sum()), float(sizes.max() / len(kept))
    if active < n_clusters / 2 or (largest > 0.5 and n_clusters >= 5):
        return (
            f"It collapsed: {active} of {n_clusters} clusters hold images and the largest holds {largest:.0%}. "
            "Use a warm start, a larger batch or a lower learning rate."
        )
    if active < n_clusters:
        return f"{n_clusters - active} of {n_clusters} clusters are empty."
    return None
