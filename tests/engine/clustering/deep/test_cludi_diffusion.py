"""The diffusion: schedule, forward process, weights, and the sampler against a slow float64 loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.clustering.deep.cludi.diffusion import Diffusion, alpha_bar_schedule, noise_scale


def test_schedule_equals_its_formula():
    n_steps, expected, product = 50, [], 1.0
    for t in range(n_steps):
        level, following = (1 - math.sqrt(s / n_steps + 1e-4) for s in (t, t + 1))
        product *= 1 - min(1 - following / level, 0.999)
        expected.append(product)
    np.testing.assert_allclose(alpha_bar_schedule(n_steps).numpy(), expected, rtol=1e-6)


def test_both_readings_of_the_rescaling_factor():
    assert noise_scale(49, "variance") == 7 and noise_scale(49, "std") == 49
    torch.manual_seed(0)
    for reading in ("variance", "std"):
        drawn = Diffusion(100, noise_scale(49, reading)).draw(4, 500, 32)
        assert float(drawn.std()) == pytest.approx(noise_scale(49, reading), rel=0.02)


@pytest.mark.parametrize("predicts", ["v", "x0"])
def test_a_perfect_prediction_gives_the_clean_embedding_back(predicts):
    torch.manual_seed(0)
    diffusion = Diffusion(1000, 7.0, predicts=predicts)
    diffusion.alpha_bar = diffusion.alpha_bar.double()
    clean, noise = torch.randn(3, 5, 4, dtype=torch.double), 7 * torch.randn(3, 5, 4, dtype=torch.double)
    times = torch.tensor([0, 400, 999])
    noisy = diffusion.noisy(clean, times, noise)
    for copy, time in enumerate(times.tolist()):
        level = float(diffusion.alpha_bar[time])
        expected = math.sqrt(level) * clean[copy] + math.sqrt(1 - level) * noise[copy]
        torch.testing.assert_close(noisy[copy], expected)
    level = diffusion.alpha_bar[times][:, None, None]
    truth = level.sqrt() * noise - (1 - level).sqrt() * clean if predicts == "v" else clean  # the velocity, or z_0
    torch.testing.assert_close(diffusion.clean(truth, noisy, times), clean)


def test_weights_equal_their_formula():
    times = torch.tensor([0, 10, 300, 999])
    for predicts in ("v", "x0"):
        diffusion = Diffusion(1000, 7.0, predicts=predicts)
        for weight, time in zip(diffusion.weight(times).tolist(), times.tolist(), strict=True):
            ratio = float(diffusion.alpha_bar[time]) / (1 - float(diffusion.alpha_bar[time]))
            expected = min(ratio, 5) if predicts == "x0" else min(ratio, 5) / (ratio + 1)
            assert weight == pytest.approx(expected, rel=1e-4)


def test_sampler_at_zero_noise_is_exact_and_without_chance():
    """With F = 0 nothing is drawn: two seeds agree, and an oracle's embedding comes back, clamped."""
    diffusion = Diffusion(1000, 0.0, predicts="x0")
    target = torch.tensor([[[0.3, -0.7, 2.5], [-4.0, 0.0, 1.0]]])

    def oracle(noisy, time, estimate):
        return target

    first = diffusion.sample(oracle, (1, 2, 3), 8, generator=torch.Generator().manual_seed(1))
    second = diffusion.sample(oracle, (1, 2, 3), 8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first, target.clamp(-1, 1), rtol=0, atol=0)


@pytest.mark.parametrize(("predicts", "scale"), [("x0", 0.0), ("v", 0.0), ("x0", 7.0), ("v", 7.0)])
def test_sampler_equals_a_slow_loop(predicts, scale):
    diffusion = Diffusion(200, scale, predicts=predicts)
    torch.manual_seed(0)
    mixing = torch.randn(4, 4) / 2
    shape, n_steps = (2, 3, 4), 7

    def network(noisy, time, estimate):
        return torch.tanh(noisy @ mixing + 0.3 * estimate + float(time) / 200)

    found = diffusion.sample(network, shape, n_steps, generator=torch.Generator().manual_seed(3))
    source = torch.Generator().manual_seed(3)
    alpha = diffusion.alpha_bar.double()
    times = sorted({round(v) for v in np.linspace(199, 0, n_steps)}, reverse=True)
    z = scale * torch.randn(shape, generator=source).double()
    guess = torch.zeros(shape, dtype=torch.double)
    for index, time in enumerate(times):
        out = network(z.float(), torch.tensor(time), guess.float()).double()
        guess = out if predicts == "x0" else alpha[time].sqrt() * z - (1 - alpha[time]).sqrt() * out
        guess = guess.clamp(-1, 1)
        if index + 1 == len(times):
            break
        a, b = alpha[time], alpha[times[index + 1]]
        eps = (z - a.sqrt() * guess) / (1 - a).sqrt()
        sigma = ((1 - b) / (1 - a)).sqrt() * (1 - a / b).sqrt()
        fresh = scale * torch.randn(shape, generator=source).double()
        z = b.sqrt() * guess + (1 - b - sigma**2).clamp(min=0).sqrt() * eps + sigma * fresh
    torch.testing.assert_close(found.double(), guess, rtol=1e-4, atol=1e-4)


def test_sampler_leaves_no_gradient_and_stays_in_its_box():
    weight = torch.nn.Parameter(torch.randn(4, 4))
    diffusion = Diffusion(100, 7.0)
    sampled = diffusion.sample(lambda noisy, time, estimate: noisy @ weight, (2, 5, 4), 5)
    assert not sampled.requires_grad and float(sampled.abs().max()) <= 1


def test_sampling_times_are_distinct_and_cover_the_range():
    diffusion = Diffusion(10, 1.0)
    assert diffusion.sampling_times(25).tolist() == list(range(9, -1, -1))
    assert Diffusion(1000, 1.0, spacing="steps").sampling_times(25).tolist() == list(range(999, 0, -40))
    times = Diffusion(1000, 1.0).sampling_times(8).tolist()
    assert times[0] == 999 and times[-1] == 0 and len(set(times)) == 8


@pytest.mark.parametrize("predicts", ["v", "x0"])
def test_the_sampler_asks_the_device_for_no_number(predicts):
    """Every step's level is a number already: indexing a table on a GPU by a tensor waits for all that it has to do."""
    diffusion = Diffusion(50, 7.0, predicts=predicts)
    generator = torch.Generator().manual_seed(0)
    noise = [diffusion.draw(2, 3, 4, generator=generator) for _ in range(6)]
    weight = torch.randn(4, 4, generator=generator) / 2

    def denoise(noisy, time, estimate):
        return (noisy @ weight + estimate) * (1 + time / 50)

    estimate, noisy, times = torch.zeros(2, 3, 4), noise[0], diffusion.sampling_times(6)
    levels = [*diffusion.alpha_bar[times].tolist(), 1.0]
    for step, time in enumerate(times):
        level, later = levels[step], levels[step + 1]
        estimate = diffusion.clean(denoise(noisy, time, estimate), noisy, time).clamp(-1, 1)
        if step < 5:
            kept_noise = (noisy - level**0.5 * estimate) / (1 - level) ** 0.5
            sigma = ((1 - later) / (1 - level) * (1 - level / later)) ** 0.5
            share = max(1 - later - sigma**2, 0.0) ** 0.5
            noisy = later**0.5 * estimate + share * kept_noise + sigma * noise[step + 1]
    drawn = iter(noise)
    diffusion.draw = lambda *shape, generator=None: next(drawn)
    diffusion.alpha_bar = None  # on a GPU; nothing may read it
    assert torch.equal(diffusion.sample(denoise, (2, 3, 4), 6), estimate)
