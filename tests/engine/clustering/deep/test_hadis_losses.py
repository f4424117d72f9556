"""HaDis' losses against slow references in float64, the target network, schedules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.clustering.deep.hadis.network import HaDisNetwork, dsa, hsd, pcl, target_momentum


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def pair(rng):
    target = unit(rng.normal(size=(12, 5)))
    predicted = target + 0.6 * rng.normal(size=(12, 5))
    return torch.from_numpy(predicted), torch.from_numpy(target)


def distance(a, b):
    """Euclidean, the square clamped at 1e-12 before the root."""
    return math.sqrt(max(float(((a - b) ** 2).sum()), 1e-12))


def slow_hsd(predicted, target):
    s, t = unit(predicted), target
    total, without = 0.0, 0
    for i in range(len(t)):

        def dt(j, i=i):
            return distance(t[i], t[j])

        def ds(j, i=i):
            return distance(t[i], s[j])

        negatives = [j for j in range(len(t)) if dt(j) > ds(i)]
        positives = [j for j in range(len(t)) if j not in negatives]
        p = max(positives, key=ds)
        value = max(0.0, ds(p) - dt(p)) * ds(p)
        if negatives:
            n = min(negatives, key=ds)
            value -= max(0.0, dt(n) - ds(n)) * ds(n)
        else:
            without += 1
        total += math.log(1 + math.exp(value / 0.5))
    return total / len(t), without


def test_dsa_equals_its_definition(pair):
    predicted, target = pair
    expected = -2 * np.mean([a @ b for a, b in zip(unit(predicted.numpy()), target.numpy(), strict=True)])
    assert float(dsa(predicted, target)) == pytest.approx(expected)
    assert float(dsa(3 * target, target)) == pytest.approx(-2)


def test_hsd_equals_a_slow_reference(pair):
    predicted, target = pair
    expected, without = slow_hsd(predicted.numpy(), target.numpy())
    assert float(hsd(predicted, target)) == pytest.approx(expected, abs=1e-6)
    assert without < 12


def test_hsd_of_rows_without_negatives_keeps_the_positive_term(rng):
    target = unit(np.array([[1.0, 0.0, 0.0]]) + 0.01 * rng.normal(size=(6, 3)))
    predicted = -target  # each row is farther from its own prediction than from every other target
    expected, without = slow_hsd(predicted, target)
    assert without == 6
    assert float(hsd(torch.from_numpy(predicted), torch.from_numpy(target))) == pytest.approx(expected, abs=1e-6)


def test_hsd_weights_carry_no_gradient(pair):
    """Its gradient is that of fixed weights: a finite difference with the weights held."""
    predicted, target = pair
    predicted = predicted.clone().requires_grad_()
    slope = torch.autograd.grad(hsd(predicted, target), predicted)[0]
    s, t = unit(predicted.detach().numpy()), target.numpy()
    chosen = []
    for i in range(12):
        negative = [j for j in range(12) if distance(t[i], t[j]) > distance(t[i], s[i])]
        p = max((j for j in range(12) if j not in negative), key=lambda j, i=i: distance(t[i], s[j]))
        n = min(negative, key=lambda j, i=i: distance(t[i], s[j])) if negative else 0
        far = max(0.0, distance(t[i], s[p]) - distance(t[i], t[p]))
        near = max(0.0, distance(t[i], t[n]) - distance(t[i], s[n])) if negative else 0.0
        chosen.append((p, n, far, near))

    def held(z):
        s = unit(z)
        terms = [f * distance(t[i], s[p]) - w * distance(t[i], s[n]) for i, (p, n, f, w) in enumerate(chosen)]
        return np.mean([math.log1p(math.exp(x / 0.5)) for x in terms])

    z, h = predicted.detach().numpy(), 1e-6
    for i, j in [(0, 0), (4, 2), (11, 4)]:
        bump = np.zeros_like(z)
        bump[i, j] = h
        assert float(slope[i, j]) == pytest.approx((held(z + bump) - held(z - bump)) / (2 * h), abs=1e-5)


@pytest.mark.parametrize(
    "labels", [[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 1], [0, 0, 0, 4, 4, 4, 4, 4, 4, 2, 2, 2], [3] * 12]
)
def test_pcl_equals_a_slow_reference_with_absent_classes(pair, labels):
    online, target = pair
    q, k, own = unit(online.numpy()), target.numpy(), np.array(labels)
    present = sorted(set(labels))
    mu = {c: unit(q[own == c].mean(0, keepdims=True))[0] for c in present}
    nu = {c: unit(k[own == c].mean(0, keepdims=True))[0] for c in present}
    each = []
    for c in present:
        scores = [mu[c] @ nu[c] / 0.5] + [mu[c] @ mu[j] / 0.5 for j in present if j != c]
        each.append(-scores[0] + math.log(sum(math.exp(x) for x in scores)))
    online = online.clone().requires_grad_()
    found = pcl(online, target, torch.tensor(labels), 6)
    assert float(found.detach()) == pytest.approx(np.mean(each), abs=1e-9)
    assert torch.isfinite(torch.autograd.grad(found, online)[0]).all()


def test_target_follows_and_takes_no_gradient():
    torch.manual_seed(0)
    network = HaDisNetwork("resnet_small", 8, hidden=16, outputs=8)
    before = [p.clone() for p in network.target_encoder.parameters()]
    with torch.no_grad():
        for p in network.encoder.parameters():
            p += 1
    network.follow(0.75)
    for old, new in zip(before, network.target_encoder.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)
    assert not any(p.requires_grad for n, p in network.named_parameters() if n.startswith("target"))
    assert not network.target(torch.randn(4, 3, 8, 8)).requires_grad


def test_every_trainable_parameter_gets_a_gradient():
    torch.manual_seed(0)
    network = HaDisNetwork("resnet_small", 8, hidden=16, outputs=8)
    q = network.online(torch.randn(8, 3, 8, 8))
    k = network.target(torch.randn(8, 3, 8, 8))
    predicted = network.predictor(q)
    (dsa(predicted, k) + hsd(predicted, k) + pcl(q, k, torch.arange(8) % 3, 3)).backward()
    silent = [n for n, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert silent == []


def test_momentum_schedules():
    assert target_momentum(0.996, 500, 1000, to_one=False, ramp=False) == 0.996
    assert target_momentum(0.996, 0, 1000, to_one=True, ramp=False) == pytest.approx(0.996)
    assert target_momentum(0.996, 500, 1000, to_one=True, ramp=False) == pytest.approx(0.998)
    assert target_momentum(0.996, 1000, 1000, to_one=True, ramp=False) == pytest.approx(1)
    assert target_momentum(0.996, 8, 1000, to_one=False, ramp=True) == pytest.approx(0.5)
