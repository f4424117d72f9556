"""Warm start: fit a network to a first clustering by cross-entropy for a few hundred steps, before its own objective.

`start_labels` makes the clustering; torch is imported here.
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
