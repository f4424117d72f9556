"""Gaussian diffusion over assignment embeddings: the forward process, its weights and the DDIM sampler.

CLUDI rescales every Gaussian draw by F (`noise_scale`), so the start of the sampler, its added noise and
the noise inside v all carry it. Nothing here knows a network: the sampler is given a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Predicts = Literal["v", "x0"]
Spacing = Literal["ends", "steps"]
Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]


def noise_scale(rescaling_factor: float, reading: Literal["variance", "std"]) -> float:
    """Return F: the square root of the factor in the paper's reading, the factor itself in the released code's."""
    return rescaling_factor**0.5 if reading == "variance" else rescaling_factor


def alpha_bar_schedule(n_steps: int) -> Tensor:
    """Return abar, (n_steps,) float32, falling: abar(s) = 1 - sqrt(s + 1e-4), betas clipped at 0.999."""
    grid = torch.arange(n_steps + 1, dtype=torch.float64) / n_steps
    level = 1.0 - torch.sqrt(grid + 1e-4)
    betas = torch.clamp(1.0 - level[1:] / level[:-1], max=0.999)
    return torch.cumprod(1.0 - betas, dim=0).float()


class Diffusion:
    """The forward process z_t = sqrt(abar_t) z_0 + sqrt(1 - abar_t) F eps and its reversal.

    Parameters
    ----------
    n_steps : int
        T, the number of diffusion times.
    scale : float
        F, the standard deviation of every Gaussian draw.
    predicts : "v" or "x0"
        What the network outputs: v = sqrt(abar) F eps - sqrt(1 - abar) z_0, or z_0 itself.
    spacing : "ends" or "steps"
        Sampling times from T - 1 to 0; or equal steps of T / n from T - 1 to T / n - 1, as in the released code.
    device : torch.device or str

    References
    ----------
    Uziel, Chelly, Freifeld, Pakman, "Clustering via Self-Supervised Diffusion", ICML 2025, arXiv:2507.04283.
    Song, Meng, Ermon, "Denoising Diffusion Implicit Models", ICLR 2021, arXiv:2010.02502.
    """

    def __init__(
        self,
        n_steps: int,
        scale: float,
        *,
        predicts: Predicts = "v",
        spacing: Spacing = "ends",
        device: torch.device | str = "cpu",
    ) -> None:
        self.n_steps = n_steps
        self.scale = scale
        self.predicts: Predicts = predicts
        self.spacing: Spacing = spacing
        level = alpha_bar_schedule(n_steps)
        self.alpha_bar = level.to(device)
        # As numbers, so that the sampler asks no device for them: each time would wait for all that it has to do.
        self._numbers = [values.tolist() for values in (level, level.sqrt(), (1.0 - level).sqrt())]

    def draw(self, *shape: int, generator: torch.Generator | None = None) -> Tensor:
        """Return F eps of the given shape."""
        return self.scale * torch.randn(*shape, generator=generator, device=self.alpha_bar.device)

    def _levels(self, times: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        level = self.alpha_bar.to(like.dtype)[times]
        level = level.reshape(level.shape + (1,) * (like.ndim - level.ndim))
        return level.sqrt(), (1.0 - level).sqrt()

    def noisy(self, clean: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Return z_t. `times` is () or (B,), `clean` and `noise` (B, N, d); `noise` already carries F."""
        signal, spread = self._levels(times, clean)
        return signal * clean + spread * noise

    def clean(self, prediction: Tensor, noisy: Tensor, times: Tensor) -> Tensor:
        """Return the estimate of z_0 that a network's `prediction` at z_t stands for."""
        if self.predicts == "x0":
            return prediction
        signal, spread = self._levels(times, noisy)
        return signal * noisy - spread * prediction

    def weight(self, times: Tensor) -> Tensor:
        """Return the per-copy loss weight: min(SNR, 5), divided by SNR + 1 for v; SNR = abar / (1 - abar)."""
        level = self.alpha_bar[times]
        ratio = level / (1.0 - level)
        clipped = ratio.clamp(max=5.0)
        return clipped if self.predicts == "x0" else clipped / (ratio + 1.0)

    def sampling_times(self, n_steps: int) -> Tensor:
        """Return at most `n_steps` falling times from T - 1, evenly spread, on the CPU; see `spacing`."""
        count, last = min(n_steps, self.n_steps), self.n_steps - 1
        if self.spacing == "steps":
            return torch.linspace(-1, last, count + 1).long()[1:].flip(0)
        times = torch.linspace(last, 0, count)
        return torch.unique(times.round().long()).flip(0)

    @torch.no_grad()
    def sample(
        self,
        denoise: Denoiser,
        shape: tuple[int, int, int],
        n_steps: int,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw z_0 by DDIM with eta = 1, each estimate clamped to [-1, 1] and fed back as self-condition.

        Parameters
        ----------
        denoise : (z_t (B, N, d), time (), self_cond (B, N, d)) -> prediction (B, N, d)
            The features it conditions on are its own business, so they are computed once, not once per step.
        shape : (B, N, d)
        n_steps : int
            Sampling steps.
        generator : torch.Generator, optional

        Returns
        -------
        (B, N, d) in [-1, 1], without gradient.
        """
        noisy = self.draw(*shape, generator=generator)
        estimate = torch.zeros_like(noisy)
        times = self.sampling_times(n_steps)
        places = times.tolist()
        at_device = times.to(noisy.device, non_blocking=True)
        levels, signals, spreads = self._numbers
        for step, place in enumerate(places):
            level, next_level = levels[place], levels[places[step + 1]] if step + 1 < len(places) else 1.0
            estimate = denoise(noisy, at_device[step], estimate)
            if self.predicts == "v":
                estimate = signals[place] * noisy - spreads[place] * estimate
            estimate = estimate.clamp(-1.0, 1.0)
            if step == len(times) - 1:
                break
            noise = (noisy - level**0.5 * estimate) / (1.0 - level) ** 0.5
            sigma = ((1.0 - next_level) / (1.0 - level) * (1.0 - level / next_level)) ** 0.5
            kept = max(1.0 - next_level - sigma**2, 0.0) ** 0.5
            noisy = next_level**0.5 * estimate + kept * noise + sigma * self.draw(*shape, generator=generator)
        return estimate
