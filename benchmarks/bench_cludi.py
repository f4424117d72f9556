"""One CLUDI training step against the naive one with the same mathematics.

    python -m benchmarks.bench_cludi            # N 64, D 256, K 50; copies and sampling steps as published

Naive: gradients are kept through the whole teacher sampler, the feature branch runs again at every diffusion step and
for every copy, and the cross-entropy builds the full B x B x N x K tensor. Both start from the same weights and draw
the same random numbers, and their losses must agree before anything is timed. Printed: medians and their ratio.
"""

from __future__ import annotations

import argparse
import copy
import math
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.machine import add_device, chosen, print_machine, seconds
from engine.clustering.deep.cludi.diffusion import Diffusion
from engine.clustering.deep.cludi.network import CludiNetwork, diffusion_loss, perturb, symmetric_cross_entropy
from engine.clustering.deep.cludi.task import sample_logits


def naive_sample(network: CludiNetwork, diffusion: Diffusion, x: Tensor, copies: int, n_steps: int) -> Tensor:
    """DDIM with eta = 1 as `Diffusion.sample`, with gradient and with features at each step and for each copy."""
    shape = (copies, len(x), network.embedding_dim)
    noisy = diffusion.draw(*shape)
    estimate = torch.zeros_like(noisy)
    times = diffusion.sampling_times(n_steps)
    levels = [*diffusion.alpha_bar.cpu()[times].tolist(), 1.0]
    for step, when in enumerate(times.to(x.device)):
        features = network.features(x.expand(copies, -1, -1))
        estimate = diffusion.clean(network.denoise(features, noisy, when, estimate), noisy, when).clamp(-1, 1)
        if step == len(times) - 1:
            break
        a, b = levels[step], levels[step + 1]
        noise = (noisy - a**0.5 * estimate) / (1 - a) ** 0.5
        sigma = ((1 - b) / (1 - a) * (1 - a / b)) ** 0.5
        kept = max(1 - b - sigma**2, 0.0) ** 0.5
        noisy = b**0.5 * estimate + kept * noise + sigma * diffusion.draw(*shape)
    return network.classify(estimate)


def naive_cross_entropy(teacher: Tensor, student: Tensor, weights: Tensor) -> Tensor:
    """Equation 7 over the B x B x N x K tensor."""
    n, k = teacher.shape[1:]

    def rows(logits: Tensor) -> Tensor:
        r = functional.log_softmax(logits / 0.1, dim=2)
        return r - r.logsumexp(dim=1, keepdim=True) + math.log(n / k)

    def columns(logits: Tensor) -> Tensor:
        return functional.softmax(functional.log_softmax(logits / 0.05, dim=1), dim=2)

    forward = -(columns(teacher)[:, None] * rows(student)[None]).sum(dim=3).mean(dim=2)
    backward = -(columns(student)[None] * rows(teacher)[:, None]).sum(dim=3).mean(dim=2)
    return 0.5 * ((weights * forward).mean() + (weights * backward).mean())


def step(
    student: CludiNetwork,
    teacher: CludiNetwork,
    diffusion: Diffusion,
    x: Tensor,
    copies: int,
    n_steps: int,
    naive: bool,
) -> Tensor:
    """Forward and backward of one training step; returns the loss."""
    torch.manual_seed(0)
    if naive:
        targets = naive_sample(teacher, diffusion, x, copies, n_steps)
    else:
        with torch.no_grad():
            targets = sample_logits(teacher, diffusion, teacher.features(x), copies, n_steps)
    clean = teacher.embed(functional.softmax(targets / 0.1, dim=-1))
    features = student.features(perturb(x, copies))
    times = torch.randint(diffusion.n_steps, (copies,), device=x.device)
    noisy = diffusion.noisy(clean, times, diffusion.draw(*clean.shape))
    prediction = student.denoise(features, noisy, times, torch.zeros_like(noisy))
    logits = student.classify(diffusion.clean(prediction, noisy, times))
    weights = diffusion.weight(times)
    looped = student.embed(functional.softmax(logits / 0.1, dim=-1))
    crossed = naive_cross_entropy(targets, logits, weights) if naive else None
    if crossed is None:
        crossed = symmetric_cross_entropy(targets, logits, weights)
    loss = diffusion_loss(looped, clean, weights) + 50 * crossed
    student.zero_grad(set_to_none=True)
    loss.backward()
    return loss.detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--clusters", type=int, default=50)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--sampling-steps", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=3)
    add_device(parser)
    arguments = parser.parse_args()
    device = chosen(arguments)
    print_machine(device)
    torch.manual_seed(0)
    student = CludiNetwork(arguments.dimension, arguments.clusters, dropout=0.0).to(device)
    frozen = copy.deepcopy(student).eval().requires_grad_(False)
    trained = copy.deepcopy(student)  # the naive teacher keeps its gradient
    diffusion = Diffusion(1000, 7.0, predicts="v", device=device)
    x = functional.normalize(torch.randn(arguments.batch, arguments.dimension), dim=1).to(device)
    shape = (diffusion, x, arguments.copies, arguments.sampling_steps)
    first, second = step(student, frozen, *shape, False), step(student, trained, *shape, True)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3)
    print(f"the losses agree: {float(first):.4f} and {float(second):.4f}")
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(arguments.repeats):
        for naive, teacher in ((False, frozen), (True, trained)):
            taken[naive].append(seconds(partial(step, student, teacher, *shape, naive), device, repeats=1))
    ours, theirs = (sorted(taken[naive])[arguments.repeats // 2] for naive in (False, True))
    print(
        f"N {arguments.batch}, D {arguments.dimension}, K {arguments.clusters}, {arguments.copies} copies, "
        f"{arguments.sampling_steps} sampling steps, {torch.get_num_threads()} threads: "
        f"ours {ours * 1e3:.0f} ms, naive {theirs * 1e3:.0f} ms, {theirs / ours:.1f}x"
    )


if __name__ == "__main__":
    main()
