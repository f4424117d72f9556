"""Trajectory matching, SelMatch and gradient matching: rows move, losses fall, frozen rows stay, gradients are true."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.distillation.gradient_matching import balanced_batch, gradient_distance, match_gradients
from engine.distillation.heads import expert_trajectories, initial_heads, linear_gradient, seed_of
from engine.distillation.matching import student_batches
from engine.distillation.selmatch import alpha_beta, difficulty, select_window
from engine.distillation.trajectory_matching import inner_loop, match_trajectories, matching_loss
from tests.engine.distillation.test_heads import blobs


@pytest.mark.parametrize("count", [5, 9])
def test_the_linear_loop_does_what_steps_by_the_gradient_do(count):
    """Five rows of six numbers take the steps among the rows, nine among the weights."""
    rows, labels = (part[:count] for part in blobs(n=20))
    sets = torch.stack([rows, rows.flip(0)]).double()
    head = tuple(part.double() for part in initial_heads(2, 6, 3, hidden=0, seed=0, device="cpu"))
    rate = torch.tensor([[[0.7]], [[1.3]]], dtype=torch.float64)
    found = inner_loop(head, sets, labels, rate, student_batches(count, 4, torch.Generator()))
    for _ in range(4):
        slopes = linear_gradient(head, sets, labels)
        head = tuple(part - rate * slope for part, slope in zip(head, slopes, strict=True))
    for got, want in zip(found, head, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("hidden", [0, 4])
def test_inner_loop_gradient_equals_a_finite_difference(hidden):
    rows, labels = blobs(n=9)
    rows = rows.double()
    heads = [tuple(p.double() for p in initial_heads(1, 6, 3, hidden=hidden, seed=s, device="cpu")) for s in (0, 1)]
    rate = torch.tensor(0.7, dtype=torch.float64)
    batches = student_batches(9, 3, torch.Generator())

    def outer(z, r):
        start = tuple(p.clone() for p in heads[0])
        return matching_loss(inner_loop(start, z, labels, r, batches), heads[0], heads[1]).sum()

    def value(z, r):
        return outer(z, r).detach().item()

    z, r = rows.clone().requires_grad_(), rate.clone().requires_grad_()
    slope_z, slope_r = torch.autograd.grad(outer(z, r), (z, r))
    assert float(slope_z.abs().sum()) > 0
    h = 1e-6
    for i, j in [(0, 0), (3, 2), (8, 5)]:
        bump = torch.zeros_like(rows)
        bump[i, j] = h
        difference = (value(rows + bump, rate) - value(rows - bump, rate)) / (2 * h)
        assert difference == pytest.approx(float(slope_z[i, j]), rel=1e-5, abs=1e-9)
    difference = (value(rows, rate + h) - value(rows, rate - h)) / (2 * h)
    assert difference == pytest.approx(float(slope_r), rel=1e-5)


def test_inner_loop_leaves_its_start_alone():
    rows, labels = blobs(n=9)
    start = initial_heads(1, 6, 3, hidden=0, seed=0, device="cpu")
    before = [p.clone() for p in start]
    end = inner_loop(start, rows, labels, torch.tensor(1.0), student_batches(9, 2, torch.Generator()))
    assert all(torch.equal(a, b) for a, b in zip(start, before, strict=True))
    assert not torch.equal(end[0], start[0])


def test_matching_loss_is_one_for_standing_still_and_zero_at_the_goal():
    a, b = (initial_heads(1, 4, 2, hidden=0, seed=s, device="cpu") for s in (0, 1))
    assert float(matching_loss(a, a, b)) == pytest.approx(1)
    assert float(matching_loss(b, a, b)) == 0


def test_large_sets_step_on_batches_without_repeats():
    batches = student_batches(2500, 3, torch.Generator().manual_seed(0))
    assert [len(b) for b in batches] == [1024] * 3
    assert len(torch.unique(torch.cat(batches[:2]))) == 2048


@pytest.fixture(scope="module")
def matched():
    rows, labels = blobs(n=200)
    path = expert_trajectories(rows, labels, 3, count=3, epochs=8, hidden=0, seeds=[0])
    start = torch.cat([torch.nonzero(labels == k)[:4, 0] for k in range(3)])
    return rows, labels, path, start


def trajectory(matched, **options):
    rows, labels, path, start = matched
    settings = {"epochs": 30, "step": 0.1, "inner_steps": 5, "match_epochs": 2, "expert_steps": 12, "seeds": [0]}
    return match_trajectories(rows[start][None], labels[start], path, **(settings | options))


def test_trajectory_matching_moves_the_rows_and_its_loss_falls(matched):
    rows, _, _, start = matched
    made = trajectory(matched)
    way = (made.rows[0] - rows[start]).norm(dim=1)
    assert float(way.min()) > 0.01
    assert made.losses.shape == (1, 90)
    assert made.losses[0, -10:].mean() < 0.5 * made.losses[0, :10].mean()
    assert made.inner_rate is not None and made.inner_rate[0] > 0


def test_trajectory_matching_is_reproducible_by_seed(matched):
    one, two, other = (
        trajectory(matched, epochs=3),
        trajectory(matched, epochs=3),
        trajectory(matched, epochs=3, seeds=[1]),
    )
    assert torch.equal(one.rows, two.rows)
    assert not torch.equal(one.rows, other.rows)


def test_frozen_rows_stay_bit_for_bit(matched):
    rows, _, _, start = matched
    free = torch.tensor([1, 2, 7])
    made = trajectory(matched, free=free, epochs=3)
    moved = (made.rows[0] != rows[start]).any(dim=1)
    assert torch.nonzero(moved)[:, 0].tolist() == free.tolist()


def gradients(matched, **options):
    rows, labels, path, start = matched
    settings = {"epochs": 40, "step": 0.1, "seeds": [0]}
    return match_gradients(rows[start][None], labels[start], rows, labels, path, **(settings | options))


def test_gradient_matching_moves_the_rows_and_its_loss_falls(matched):
    rows, _, _, start = matched
    made = gradients(matched)
    assert float((made.rows[0] - rows[start]).norm(dim=1).min()) > 0.01
    assert made.losses[0, -20:].mean() < 0.5 * made.losses[0, :20].mean()
    assert torch.equal(made.rows, gradients(matched).rows)


def test_seeds_side_by_side_equal_each_alone(matched):
    rows, labels, _, start = matched
    path = expert_trajectories(rows, labels, 3, count=2, epochs=8, hidden=0, seeds=[0, 5])
    other = start.flip(0).view(3, 4).flip(0).reshape(-1)  # other rows, the same classes
    initial = torch.stack([rows[start], rows[other]])
    options = {"epochs": 3, "step": 0.1}
    steps = {"inner_steps": 5, "match_epochs": 2, "expert_steps": 12}
    for i, seed in enumerate([0, 5]):
        own, one = seed_of(path, i, 2), initial[i : i + 1]
        both = match_trajectories(initial, labels[start], path, seeds=[0, 5], **options, **steps).rows[i]
        alone = match_trajectories(one, labels[start], own, seeds=[seed], **options, **steps).rows[0]
        torch.testing.assert_close(both, alone, rtol=1e-3, atol=1e-4)
        both = match_gradients(initial, labels[start], rows, labels, path, seeds=[0, 5], **options).rows[i]
        alone = match_gradients(one, labels[start], rows, labels, own, seeds=[seed], **options).rows[0]
        torch.testing.assert_close(both, alone, rtol=1e-3, atol=1e-4)


def test_gradient_matching_at_a_tiny_classifier_points_to_the_class_means():
    """At W -> 0 the gradient is class mean minus mean, so centroids match it where all classes are equally large."""
    rows, labels = blobs(n=300)
    picked = torch.cat([torch.nonzero(labels == k)[:60, 0] for k in range(3)])
    rows, labels = rows[picked], labels[picked]
    head = tuple(0 * p for p in initial_heads(1, 6, 3, hidden=0, seed=0, device="cpu"))
    centroids = torch.stack([rows[labels == k].mean(0) for k in range(3)])
    real = linear_gradient(head, rows, labels)
    assert float(gradient_distance(real, linear_gradient(head, centroids, torch.arange(3)))) < 1e-6
    assert float(gradient_distance(real, linear_gradient(head, centroids, torch.tensor([1, 2, 0])))) > 0.1


def test_balanced_batches_draw_classes_equally():
    labels = torch.tensor([0] * 900 + [1] * 100)
    drawn = labels[balanced_batch(labels, 4000, torch.Generator().manual_seed(0))]
    assert float(drawn.float().mean()) == pytest.approx(0.5, abs=0.03)


def test_published_windows():
    assert alpha_beta(10, None, None) == (1.0, 0.8)
    assert alpha_beta(25, None, None) == (0.8, 0.8)
    assert alpha_beta(99, None, None) == (0.6, 0.7)
    assert alpha_beta(1000, None, None) == (0.2, 0.4)
    assert alpha_beta(100, 0.5, None) == (0.5, 0.6)


def test_window_skips_the_hardest_and_freezes_the_harder_part():
    labels = np.array([0] * 10 + [1] * 4)
    hardness = np.concatenate([np.arange(10), np.arange(4)]).astype(np.float32)
    window = select_window(hardness, labels, images_per_class=5, alpha=0.4, beta=0.5)
    # class 0: order 9..0, skip 2, take 7 6 5 4 3; class 1 has only 4: takes all, skips none
    assert window.chosen.tolist() == [7, 6, 5, 4, 3, 13, 12, 11, 10]
    assert window.free.tolist() == [3, 4, 7, 8]  # round(.6 * 5) = 3 and round(.6 * 4) = 2 frozen


def test_difficulty_is_the_mean_missing_probability(matched):
    rows, labels, path, _ = matched
    found = difficulty(path, rows, labels, chunk=37)
    expected = torch.zeros(len(rows))
    for epoch in range(1, 9):
        for expert in range(3):
            weight, bias = path[0][epoch, expert], path[1][epoch, expert]
            sure = torch.softmax(rows @ weight + bias, dim=-1)[torch.arange(len(rows)), labels]
            expected += (1 - sure) / 24
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
