"""Small classifiers on embeddings, many at once: linear, or with one hidden layer.

A head is a tuple of tensors whose first axis counts heads, so experts and evaluation seeds train in
one batched matrix product. Everything is functional: a step makes new tensors and can keep the graph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Head = tuple[Tensor, ...]
EVALUATION_BATCH = 256
EXPERT_RATE = 1.0  # inputs have mean squared length 1, so the softmax loss is 1-smooth: stable below 2


def initial_heads(count: int, dimension: int, classes: int, *, hidden: int, seed: int, device: str) -> Head:
    """Return `count` random heads.

    Returns
    -------
    (W (count, d, K), b (count, 1, K)), or with a hidden layer (W1, b1, W2, b2).
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(rows: int, columns: int, scale: float) -> Tensor:
        return (scale * torch.randn(count, rows, columns, generator=generator)).to(device)

    def zeros(columns: int) -> Tensor:
        return torch.zeros(count, 1, columns, device=device)

    if hidden == 0:
        return normal(dimension, classes, 0.1), zeros(classes)
    return normal(dimension, hidden, 1.0), zeros(hidden), normal(hidden, classes, math.sqrt(1 / hidden)), zeros(classes)


def logits(head: Head, rows: Tensor) -> Tensor:
    """Return (count, B, K) scores of rows (B, d) or (count, B, d)."""
    if len(head) == 2:
        return torch.matmul(rows, head[0]) + head[1]
    return torch.matmul(torch.relu(torch.matmul(rows, head[0]) + head[1]), head[2]) + head[3]


def cross_entropy(head: Head, rows: Tensor, labels: Tensor) -> Tensor:
    """Return the sum over heads of the mean cross-entropy; labels (B,) or (count, B)."""
    scores = logits(head, rows)
    labels = labels.expand(scores.shape[:2])
    return F.cross_entropy(scores.flatten(0, 1), labels.flatten()) * len(scores)


def one_hot(labels: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Return (..., K) rows with a one at each label."""
    return F.one_hot(labels, classes).to(dtype)


def linear_gradient(head: Head, rows: Tensor, labels: Tensor, weights: Tensor | None = None) -> Head:
    """Return the closed-form gradient of a linear head's mean cross-entropy: X'(softmax(XW + b) - Y) / B.

    Differentiable with respect to `rows` without a second backward pass. `weights` (B,), which sum to 1, take the
    place of 1 / B. The labels are class numbers, or their `one_hot` rows.
    """
    scores = logits(head, rows)
    target = labels if labels.is_floating_point() else one_hot(labels, scores.shape[-1], scores.dtype)
    error = torch.softmax(scores, dim=-1) - target
    error = error / scores.shape[1] if weights is None else error * weights[:, None]
    return torch.matmul(rows.transpose(-1, -2), error), error.sum(dim=1, keepdim=True)


def gradient(head: Head, rows: Tensor, labels: Tensor, *, keep_graph: bool = True) -> Head:
    """Return the gradient of the cross-entropy with respect to the head, itself differentiable."""
    if len(head) == 2:
        return linear_gradient(head, rows, labels)
    with torch.enable_grad():
        leaves = head if all(part.requires_grad for part in head) else tuple(p.requires_grad_() for p in head)
        return torch.autograd.grad(cross_entropy(leaves, rows, labels), leaves, create_graph=keep_graph)


class Batches:
    """Endless shuffled row numbers for `count` heads, each in its own order."""

    def __init__(self, n: int, size: int, *, count: int, seed: int) -> None:
        self.n, self.size, self.count = n, min(size, n), count
        self.generator = torch.Generator().manual_seed(seed)
        self._left = torch.empty(count, 0, dtype=torch.int64)

    def next(self) -> Tensor:
        """Return (count, size) row numbers; every row is seen once before any is seen again."""
        while self._left.shape[1] < self.size:
            order = torch.stack([torch.randperm(self.n, generator=self.generator) for _ in range(self.count)])
            self._left = torch.cat([self._left, order], dim=1)
        batch, self._left = self._left[:, : self.size], self._left[:, self.size :]
        return batch


def epoch_of(path: Head, epoch: int) -> Head:
    """Return the heads as they stood after `epoch` epochs."""
    return tuple(part[epoch] for part in path)


def seed_of(path: Head, index: int, experts: int) -> Head:
    """Return the trajectories of one seed, of a path that holds `experts` heads for each."""
    return tuple(part[:, index * experts : (index + 1) * experts] for part in path)


def expert_trajectories(
    rows: Tensor, labels: Tensor, classes: int, *, count: int, epochs: int, hidden: int, seeds: Sequence[int]
) -> Head:
    """Train `count` experts for each seed on the full set by plain SGD and keep them after every epoch.

    Parameters
    ----------
    rows : (n, d) float32 tensor
        Mean squared length 1.
    labels : (n,) int64 tensor
    seeds : sequence of int
        A seed's experts do not depend on the other seeds.

    Returns
    -------
    tuple of (epochs + 1, len(seeds) * count, ...) tensors
        A head with an epoch axis in front, seed by seed; epoch 0 is the random start. An epoch is
        at most 200 steps of at most 256 rows.
    """
    n, dimension = rows.shape
    size, steps = expert_schedule(n)
    device = str(rows.device)
    starts = [initial_heads(count, dimension, classes, hidden=hidden, seed=seed, device=device) for seed in seeds]
    head = tuple(torch.cat(parts) for parts in zip(*starts, strict=True))
    orders = [Batches(n, size, count=count, seed=seed + 1) for seed in seeds]
    path = tuple(part.new_empty(epochs + 1, *part.shape) for part in head)
    for epoch in range(epochs + 1):
        for kept, part in zip(path, head, strict=True):
            kept[epoch] = part
        for _ in range(steps if epoch < epochs else 0):
            picked = torch.cat([order.next() for order in orders]).to(rows.device)
            slopes = gradient(head, rows[picked], labels[picked], keep_graph=False)
            head = tuple((part - EXPERT_RATE * slope).detach() for part, slope in zip(head, slopes, strict=True))
    return path


def expert_schedule(n: int) -> tuple[int, int]:
    """Return (rows of a batch, steps of an epoch) of an expert on n rows."""
    size = max(1, min(256, max(16, n // 32), n))
    return size, min(math.ceil(n / size), 200)


def train_classifiers(
    rows: Tensor, labels: Tensor, classes: int, *, seeds: Sequence[int], updates: int, hidden: int
) -> Head:
    """Train one classifier per seed for a fixed number of updates, the same recipe whatever the set.

    Parameters
    ----------
    rows : (n, d) or (S, n, d) float32 tensor
        One set for all seeds, or one for each.
    labels : (n,) or (S, n) int64 tensor

    Returns
    -------
    Head of S classifiers, by Adam (0.05, cosine to 0, weight decay 1e-4), at most 256 rows an update.
    """
    count, n, dimension = len(seeds), rows.shape[-2], rows.shape[-1]
    starts = [initial_heads(1, dimension, classes, hidden=hidden, seed=s, device=str(rows.device)) for s in seeds]
    head = tuple(torch.cat(parts).requires_grad_() for parts in zip(*starts, strict=True))
    optimiser = torch.optim.AdamW(
        head, lr=0.05 if hidden == 0 else 0.005, weight_decay=1e-4, fused=rows.device.type in ("cpu", "cuda")
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    batches = Batches(n, EVALUATION_BATCH, count=count, seed=seeds[0])
    which = torch.arange(count, device=rows.device)[:, None]
    batch, target = rows, labels if hidden else one_hot(labels, classes, rows.dtype)
    for _ in range(updates):
        if n > EVALUATION_BATCH:
            picked = batches.next().to(rows.device)
            batch = rows[picked] if rows.ndim == 2 else rows[which, picked]
            target = labels[picked] if labels.ndim == 1 else labels[which, picked]
        with torch.no_grad():
            slopes = gradient(head, batch, target, keep_graph=False)
        for part, slope in zip(head, slopes, strict=True):
            part.grad = slope
        optimiser.step()
        schedule.step()
    return tuple(part.detach() for part in head)


@torch.no_grad()
def predict(head: Head, rows: Tensor, *, chunk: int = 8192) -> Tensor:
    """Return (count, n) predicted classes of rows (n, d)."""
    return torch.cat([logits(head, rows[i : i + chunk]).argmax(-1) for i in range(0, len(rows), chunk)], dim=1)
