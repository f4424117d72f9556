"""Coding rates and Sinkhorn against slow float64 references; both sides of logdet; degenerate input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from engine.clustering.deep.cpp.network import CppNetwork, membership, objective
from engine.clustering.deep.cpp.rate_reduction import coding_rate, conditional_rate, sinkhorn
from engine.core.errors import TrainingError


def unit_rows(n, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(n, d, generator=generator, dtype=torch.double), dim=1)


def random_membership(n, m, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2 * torch.randn(n, m, generator=generator, dtype=torch.double), dim=1)


def slow_conditional_rate(z, g, epsilon2=0.1):
    z, g = z.numpy(), g.numpy()
    n, d = z.shape
    total = 0.0
    for j in range(g.shape[1]):
        size = g[:, j].sum() + 1e-8
        scatter = sum(g[i, j] * np.outer(z[i], z[i]) for i in range(n))
        total += size / (2 * n) * np.log(np.linalg.det(np.eye(d) + d / (size * epsilon2) * scatter))
    return total


def slow_sinkhorn(affinity, eta):
    pi = np.exp(affinity.numpy() / eta)
    n = len(pi)
    for half in range(5):
        pi /= n * pi.sum(axis=1 - half % 2, keepdims=True)
    return n * pi


@pytest.mark.parametrize(("n", "d"), [(12, 5), (5, 12), (6, 6)])
def test_coding_rate_equals_the_formula_on_both_sides(n, d):
    z = unit_rows(n, d)
    scale = d / (n * 0.1)
    inner = 0.5 * np.linalg.slogdet(np.eye(d) + scale * (z.T @ z).numpy())[1]
    outer = 0.5 * np.linalg.slogdet(np.eye(n) + scale * (z @ z.T).numpy())[1]
    assert inner == pytest.approx(outer, rel=1e-12)
    assert float(coding_rate(z)) == pytest.approx(inner, rel=1e-12)


@pytest.mark.parametrize(("n", "d", "packed"), [(14, 5, True), (14, 5, False), (5, 14, None)])
@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_conditional_rate_equals_the_formula(n, d, packed, chunk):
    z, g = unit_rows(n, d), random_membership(n, 7)
    assert float(conditional_rate(z, g, chunk=chunk, packed=packed)) == pytest.approx(
        slow_conditional_rate(z, g), rel=1e-10
    )


@pytest.mark.parametrize(("n", "d", "packed"), [(9, 4, True), (9, 4, False), (4, 9, None)])
def test_conditional_rate_has_the_right_gradients(n, d, packed):
    z, g = unit_rows(n, d).requires_grad_(), random_membership(n, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda z, g: conditional_rate(z, g, chunk=4, packed=packed), (z, g), atol=1e-6)


@pytest.mark.parametrize(("n", "d"), [(10, 4), (4, 10)])
def test_one_cluster_and_uniform_membership_give_the_whole_rate(n, d):
    z = unit_rows(n, d)
    whole = float(coding_rate(z))
    uniform = torch.full((n, n), 1 / n, dtype=torch.double)
    assert float(conditional_rate(z, torch.ones(n, 1, dtype=torch.double))) == pytest.approx(whole, rel=1e-7)
    assert float(conditional_rate(z, uniform)) == pytest.approx(whole, rel=1e-7)
    assert float(conditional_rate(z, uniform / n)) == pytest.approx(whole / n, rel=1e-6)


def test_the_two_ways_over_d_agree():
    z, g = unit_rows(30, 6), random_membership(30, 30)
    values = []
    for packed in (True, False):
        a, b = z.clone().requires_grad_(), g.clone().requires_grad_()
        value = conditional_rate(a, b, packed=packed)
        value.backward()
        values.append((value.detach(), a.grad, b.grad))
    for one, other in zip(*values, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("eta", [0.1, 0.175, 1.0])
def test_sinkhorn_rows_sum_to_one_and_equal_the_slow_loop(eta):
    c = unit_rows(20, 6)
    g = membership(c, eta)
    torch.testing.assert_close(g.sum(dim=1), torch.ones(20, dtype=torch.double), rtol=0, atol=1e-12)
    np.testing.assert_allclose(g.numpy(), slow_sinkhorn((c @ c.T).abs(), eta), rtol=1e-9)


def test_sinkhorn_does_not_overflow_and_its_columns_come_close():
    g = sinkhorn((unit_rows(50, 4) @ unit_rows(50, 4).T).abs().float(), 0.005)
    assert torch.isfinite(g).all()
    torch.testing.assert_close(g.sum(dim=1), torch.ones(50))
    columns = sinkhorn((unit_rows(50, 8) @ unit_rows(50, 8).T).abs(), 0.175).sum(dim=0)
    assert float((columns - 1).abs().max()) < 0.05


def test_column_potentials_carry_no_gradient():
    affinity = (unit_rows(8, 3) @ unit_rows(8, 3).T).abs().requires_grad_()
    g = sinkhorn(affinity, 0.2)
    columns = (g.detach().log() - affinity.detach() / 0.2)[0]
    expected = torch.autograd.grad(((affinity / 0.2 + columns).softmax(dim=1) ** 2).sum(), affinity)[0]
    torch.testing.assert_close(torch.autograd.grad((g**2).sum(), affinity)[0], expected)


def test_objective_equals_its_three_terms():
    z, c = unit_rows(16, 5), unit_rows(16, 5, seed=3)
    g = torch.from_numpy(slow_sinkhorn((c @ c.T).abs(), 0.175))
    rate = 0.5 * np.linalg.slogdet(np.eye(5) + 5 / 1.6 * (z.T @ z).numpy())[1]
    expected = -rate + 0.7 * slow_conditional_rate(z, g) + 0.05 / 2 * float((g**2).sum())
    loss, terms = objective(z, c, eta=0.175, gamma=0.7, penalty=0.05)
    assert float(loss) == pytest.approx(expected, rel=1e-9)
    assert float(terms["rate"]) == pytest.approx(rate, rel=1e-9)


def test_singular_input_has_finite_rates_and_gradients():
    z = unit_rows(1, 6).repeat(10, 1).float().requires_grad_()
    g = torch.eye(10).requires_grad_()
    value = conditional_rate(z, g) - coding_rate(z)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(z.grad).all() and torch.isfinite(g.grad).all()


def test_nan_features_are_told():
    z = torch.full((6, 3), float("nan"))
    with pytest.raises(TrainingError, match="coding rate"):
        coding_rate(z)


def test_every_parameter_gets_a_gradient_at_its_stage():
    """In the warm-up the cluster head is out of reach; after it, every parameter is in."""
    torch.manual_seed(0)
    network = CppNetwork(7, width=16, feature_dim=6)
    x = torch.randn(20, 7)
    (-coding_rate(network(x)[0])).backward()
    reached = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert {name for name, _ in network.named_parameters()} - reached == {"cluster.weight", "cluster.bias"}
    network.zero_grad()
    network.copy_subspace()
    with torch.no_grad():
        network.cluster.weight.add_(0.1 * torch.randn_like(network.cluster.weight))
    objective(*network(x), eta=0.175)[0].backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0, name


def test_the_head_is_copied():
    network = CppNetwork(7, width=16, feature_dim=6)
    network.copy_subspace()
    z, c = network.eval()(torch.randn(5, 7))
    torch.testing.assert_close(z, c)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(5))


@pytest.mark.parametrize(("n", "d", "packed"), [(9, 4, True), (9, 4, False), (4, 9, False)])
def test_a_device_that_is_asked_once_gives_the_same_rate_and_gradients(monkeypatch, n, d, packed):
    from engine.clustering.deep.cpp import rate_reduction

    torch.manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(n, d, dtype=torch.float64), dim=1).requires_grad_()
    g = torch.rand(n, n, dtype=torch.float64).softmax(dim=1).requires_grad_()

    def found():
        value = conditional_rate(z, g, chunk=3, packed=packed)
        return [value, *torch.autograd.grad(value, (z, g))]

    expected = found()
    asked = []
    original = rate_reduction._factor
    monkeypatch.setattr(rate_reduction, "_factor", lambda matrices: asked.append(1) or original(matrices))
    monkeypatch.setattr(rate_reduction, "_waits", lambda device: True)
    for one, two in zip(found(), expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)
    assert not asked


def test_a_broken_factor_is_mended_also_where_the_device_is_asked_once(monkeypatch):
    from engine.clustering.deep.cpp import rate_reduction

    z = torch.nn.functional.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    g = torch.full((9, 9), 1 / 9)
    expected = conditional_rate(z, g, chunk=4)
    real, calls = torch.linalg.cholesky_ex, []

    def breaking(matrices):
        factors, broken = real(matrices)
        calls.append(len(matrices))
        return factors, torch.ones_like(broken) if len(calls) == 2 else broken

    monkeypatch.setattr(torch.linalg, "cholesky_ex", breaking)
    monkeypatch.setattr(rate_reduction, "_waits", lambda device: True)
    torch.testing.assert_close(conditional_rate(z, g, chunk=4), expected)
    assert len(calls) == 6, "three chunks, and all three again with each one checked"


def test_a_chunk_is_a_quarter_of_what_a_gpu_has_free_and_fixed_on_a_cpu_and_where_results_are_reproducible(monkeypatch):
    from engine.clustering.deep.cpp import rate_reduction

    monkeypatch.setattr(rate_reduction, "free_memory", lambda device: 8 << 30)
    rate_reduction.chunk_bytes.cache_clear()
    assert rate_reduction.chunk_bytes(torch.device("cpu")) == rate_reduction.CHUNK_BYTES
    assert rate_reduction.chunk_bytes(torch.device("cuda")) == 2 << 30
    rate_reduction.chunk_bytes.cache_clear()
