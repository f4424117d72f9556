"""CLUDI's network and losses: shapes, the factorised cross-entropy, embed, gradients, and what prevents collapse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from engine.clustering.deep.cludi.network import (
    CludiNetwork,
    ScaledSiLU,
    diffusion_loss,
    perturb,
    symmetric_cross_entropy,
)


def full_double_sum(teacher, student, weights):
    """Equation 7, written over all pairs of copies, images and clusters in float64."""
    teacher, student, weights = (np.asarray(x, dtype=np.float64) for x in (teacher, student, weights))
    copies, n, k = teacher.shape

    def rows(logits):
        r = np.exp(logits / 0.1)
        r /= r.sum(axis=1, keepdims=True)
        return n / k * r / r.sum(axis=0, keepdims=True)

    def columns(logits):
        q = np.exp(logits / 0.05)
        q /= q.sum(axis=0, keepdims=True)
        return q / q.sum(axis=1, keepdims=True)

    forward = backward = 0.0
    for a in range(copies):
        for b in range(copies):
            forward += weights[b] * -np.mean((columns(teacher[a]) * np.log(rows(student[b]))).sum(axis=1))
            backward += weights[b] * -np.mean((columns(student[b]) * np.log(rows(teacher[a]))).sum(axis=1))
    return 0.5 * (forward + backward) / copies**2


def test_factorised_cross_entropy_equals_the_full_double_sum():
    torch.manual_seed(0)
    teacher, student = 0.3 * torch.randn(3, 11, 5).double(), 0.3 * torch.randn(3, 11, 5).double()
    weights = torch.tensor([0.2, 1.0, 3.0]).double()
    found = float(symmetric_cross_entropy(teacher, student, weights))
    assert found == pytest.approx(full_double_sum(teacher, student, weights), abs=1e-6)


def test_cross_entropy_at_uniform_logits_is_ln_k():
    logits, weights = torch.zeros(2, 12, 4), torch.tensor([1.0, 3.0])
    assert float(symmetric_cross_entropy(logits, logits, weights)) == pytest.approx(2 * math.log(4), rel=1e-5)


def test_cross_entropy_survives_extreme_logits():
    teacher = 50 * torch.randn(2, 8, 3)
    student = (50 * torch.randn(2, 8, 3)).requires_grad_()
    loss = symmetric_cross_entropy(teacher, student, torch.ones(2))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(student.grad).all()


def test_diffusion_loss_equals_the_formula(rng):
    looped, target, weights = rng.normal(size=(3, 7, 5)), rng.normal(size=(3, 7, 5)), rng.random(3)
    expected = np.mean([weights[b] * np.mean((looped[b] - target[b]) ** 2) for b in range(3)])
    found = diffusion_loss(*(torch.from_numpy(x) for x in (looped, target, weights)))
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_embed_is_normalised():
    network = CludiNetwork(8, 5, embedding_dim=16)
    embedded = network.embed(torch.rand(3, 7, 5))
    torch.testing.assert_close(embedded.norm(dim=-1), torch.full((3, 7), 4.0))
    torch.testing.assert_close(network.centers.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(network.embed(torch.eye(5)), 4 * network.centers)
    assert not network.centers.requires_grad


def test_scaled_silu_keeps_the_variance():
    torch.manual_seed(0)
    assert float(ScaledSiLU()(torch.randn(200_000)).square().mean()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("dimension", "width"), [(16, None), (17, None), (9, 6), (9, 7)])
def test_odd_dimensions_and_widths_work(dimension, width):
    network = CludiNetwork(dimension, 3, embedding_dim=8, width=width).eval()
    features = network.features(torch.randn(5, dimension))
    prediction = network.denoise(features, torch.randn(2, 5, 8), torch.tensor([3, 9]), torch.zeros(2, 5, 8))
    assert prediction.shape == (2, 5, 8) and network.classify(prediction).shape == (2, 5, 3)


def test_samples_do_not_mix():
    network = CludiNetwork(6, 3, embedding_dim=4).eval()
    x, z, t = torch.randn(5, 6), torch.randn(2, 5, 4), torch.tensor(7)
    together = network.denoise(network.features(x), z, t, torch.zeros_like(z))
    alone = network.denoise(network.features(x[2:3]), z[:, 2:3], t, torch.zeros(2, 1, 4))
    torch.testing.assert_close(together[:, 2:3], alone, rtol=1e-4, atol=1e-5)


def test_one_time_for_all_equals_the_same_time_for_each_copy():
    network = CludiNetwork(6, 3, embedding_dim=4).eval()
    features, z = network.features(torch.randn(5, 6)), torch.randn(2, 5, 4)
    shared = network.denoise(features, z, torch.tensor(7), torch.zeros_like(z))
    each = network.denoise(features.expand(2, -1, -1), z, torch.tensor([7, 7]), torch.zeros_like(z))
    torch.testing.assert_close(shared, each)


def test_features_ignore_the_length_of_an_embedding():
    network = CludiNetwork(6, 3).eval()
    x = torch.randn(4, 6)
    torch.testing.assert_close(network.features(x), network.features(40 * x))


def test_perturbation_has_the_lengths_and_the_dropout_it_says():
    torch.manual_seed(0)
    x = functional.normalize(torch.randn(400, 64), dim=1)
    moved = perturb(x, 6, drop_low=0.0, drop_high=0.0) - x
    lengths = moved.norm(dim=-1)
    assert float(lengths.min()) >= 0.2 and float(lengths.max()) <= 1.0
    torch.testing.assert_close(lengths.std(dim=1), torch.zeros(6), atol=1e-5, rtol=0)
    assert float(lengths.mean(dim=1).std()) > 0.05
    dropped = (perturb(x, 40, low=0.0, high=0.0) == 0).float().mean(dim=(1, 2))
    assert 0.045 < float(dropped.min()) and float(dropped.max()) < 0.105 and float(dropped.std()) > 0.005


def drift(uniform_prior):
    """Self-train a linear head on its own sharpened logits from a slightly uneven start; return used clusters."""
    torch.manual_seed(0)
    x = torch.randn(128, 8)
    head = torch.nn.Linear(8, 6)
    with torch.no_grad():
        head.weight.mul_(0.1)
        head.bias.copy_(torch.tensor([0.2, 0, 0, 0, 0, 0]))
    optimiser = torch.optim.Adam(head.parameters(), lr=0.03)
    for _ in range(60):
        logits = head(x).unsqueeze(0)
        loss = symmetric_cross_entropy(logits.detach(), logits, torch.ones(1), uniform_prior=uniform_prior)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return np.bincount(head(x).argmax(dim=1).numpy(), minlength=6)


def test_the_uniform_prior_prevents_collapse_where_its_removal_collapses():
    kept, collapsed = drift(True), drift(False)
    assert kept.min() >= 128 / 6 / 3, kept
    assert collapsed.max() > 64 and (collapsed == 0).any(), collapsed
