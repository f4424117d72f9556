"""Heads: closed-form gradients, functional inner loop, reproducible training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.distillation.heads import (
    Batches,
    cross_entropy,
    epoch_of,
    expert_trajectories,
    gradient,
    initial_heads,
    linear_gradient,
    logits,
    predict,
    seed_of,
    train_classifiers,
)


def blobs(seed: int = 0, n: int = 120, d: int = 6, k: int = 3):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(k, d)) * 2
    labels = rng.integers(k, size=n)
    rows = centers[labels] + rng.normal(size=(n, d)) * 0.3
    rows = (rows - rows.mean(0)) / np.sqrt((rows**2).sum(1).mean())
    return torch.from_numpy(rows.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))


@pytest.mark.parametrize("hidden", [0, 5])
def test_gradient_equals_autograd(hidden):
    rows, labels = blobs()
    head = tuple(
        p.double().requires_grad_() for p in initial_heads(3, 6, 3, hidden=hidden, seed=1, device="cpu")
    )  # three heads at once
    expected = torch.autograd.grad(cross_entropy(head, rows.double(), labels), head)
    for got, want in zip(gradient(head, rows.double(), labels), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


def test_closed_form_takes_a_batch_per_head():
    rows, labels = blobs()
    head = initial_heads(2, 6, 3, hidden=0, seed=1, device="cpu")
    picked = torch.stack([torch.arange(40), torch.arange(40, 80)])
    both = linear_gradient(head, rows[picked], labels[picked])
    for i in range(2):
        alone = linear_gradient(tuple(p[i : i + 1] for p in head), rows[picked[i]], labels[picked[i]])
        for a, b in zip(both, alone, strict=True):
            torch.testing.assert_close(a[i : i + 1], b)


def test_closed_form_is_differentiable_in_the_rows():
    rows, labels = blobs(n=12)
    rows = rows.double().requires_grad_()
    head = tuple(p.double() for p in initial_heads(1, 6, 3, hidden=0, seed=1, device="cpu"))
    assert torch.autograd.gradcheck(lambda z: linear_gradient(head, z, labels), (rows,))


def test_batches_see_every_row_once_before_any_twice():
    batches = Batches(10, 4, count=2, seed=0)
    seen = torch.cat([batches.next() for _ in range(5)], dim=1)
    for order in seen:
        assert sorted(order[:10].tolist()) == list(range(10))
        assert sorted(order[10:].tolist()) == list(range(10))
    assert not torch.equal(seen[0], seen[1])


def test_experts_learn_and_do_not_depend_on_the_other_seeds():
    rows, labels = blobs()
    path = expert_trajectories(rows, labels, 3, count=2, epochs=10, hidden=0, seeds=[3, 8])
    alone = expert_trajectories(rows, labels, 3, count=2, epochs=10, hidden=0, seeds=[8])
    assert path[0].shape == (11, 4, 6, 3)
    for a, b in zip(seed_of(path, 1, 2), alone, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(path[0][-1, 0], path[0][-1, 1], atol=1e-3)
    losses = [float(cross_entropy(epoch_of(path, epoch), rows, labels)) for epoch in range(11)]
    assert losses[-1] < 0.2 * losses[0]
    assert (predict(epoch_of(path, 10), rows) == labels).float().mean() > 0.95


@pytest.mark.parametrize("hidden", [0, 8])
def test_classifiers_of_several_sets_equal_each_alone(hidden):
    rows, labels = blobs(n=30)
    other = rows + 0.5
    both = train_classifiers(
        torch.stack([rows, other]), torch.stack([labels, labels]), 3, seeds=[4, 5], updates=60, hidden=hidden
    )
    first = train_classifiers(rows, labels, 3, seeds=[4], updates=60, hidden=hidden)
    # batch = whole set here, so only float order differs
    torch.testing.assert_close(logits(both, rows)[:1], logits(first, rows), rtol=1e-3, atol=1e-2)
    assert (predict(both, rows)[0] == labels).float().mean() > 0.95
