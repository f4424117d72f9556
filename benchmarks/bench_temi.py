"""One TEMI training step: stacked heads in batched matmuls against a plain loop over heads, same mathematics.

    python -m benchmarks.bench_temi            # 16 heads, batch 512, D = 768, C = 100

A step is what the trainer does: both views through student and teacher, the loss, backward, AdamW, EMA. The loop
is one module per head with its own loss, joined by the shared weight of the pairs. Both start from the same
weights and their losses must agree before anything is timed. Printed: medians and their ratio.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import nn
from torch.nn import functional

from benchmarks.machine import add_device, chosen, print_machine, wait
from engine.clustering.deep.temi.network import StackedHeads, temi_loss

BETA, TAU, EMA = 0.6, 0.1, 0.996


class OneHead(nn.Module):
    """A head as most codes write it."""

    def __init__(self, stacked: StackedHeads, h: int) -> None:
        super().__init__()
        _, n_in, n_hidden = stacked.first.weight.shape
        _, n_clusters, n_bottleneck = stacked.last.direction.shape
        self.first, self.second = nn.Linear(n_in, n_hidden), nn.Linear(n_hidden, n_bottleneck)
        self.direction = nn.Parameter(stacked.last.direction[h].detach().clone())
        self.gain = nn.Parameter(stacked.last.gain[h].detach().clone())
        self.register_buffer("marginal", stacked.marginal[h].clone())
        with torch.no_grad():
            for mine, theirs in ((self.first, stacked.first), (self.second, stacked.second)):
                mine.weight.copy_(theirs.weight[h].T)
                mine.bias.copy_(theirs.bias[h, 0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = functional.normalize(self.second(functional.gelu(self.first(x))), dim=1)
        return z @ (functional.normalize(self.direction, dim=1) * self.gain[:, None]).T


def loop_loss(student: nn.ModuleList, teacher: nn.ModuleList, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The same loss, one head and one view at a time."""
    with torch.no_grad():
        targets = [
            (functional.log_softmax(head(x) / TAU, dim=1), functional.log_softmax(head(y) / TAU, dim=1))
            for head in teacher
        ]
        weight = torch.stack([(a.exp() * b.exp()).sum(dim=1) for a, b in targets]).mean(dim=0)
    losses = []
    for head, (t_x, t_y) in zip(student, targets, strict=True):
        with torch.no_grad():
            seen = (t_x.exp().mean(dim=0) + t_y.exp().mean(dim=0)) / 2
            head.marginal.mul_(0.9).add_(seen, alpha=0.1)
            log_marginal = head.marginal.log()
        s_x, s_y = functional.log_softmax(head(x) / TAU, dim=1), functional.log_softmax(head(y) / TAU, dim=1)
        pmi = torch.logsumexp(BETA * (s_x + t_y) - log_marginal, dim=1)
        pmi = pmi + torch.logsumexp(BETA * (s_y + t_x) - log_marginal, dim=1)
        losses.append(-0.5 * (weight * pmi).mean())
    return torch.stack(losses).mean()


def stacked_loss(student: StackedHeads, teacher: StackedHeads, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    both = torch.cat([x, y])
    s = student(both).split(len(x), dim=1)
    with torch.no_grad():
        t = teacher(both).split(len(x), dim=1)
    return temi_loss(tuple(s), tuple(t), student.marginal, beta=BETA).heads.mean()  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    add_device(parser)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    device = chosen(arguments)
    print_machine(device)
    sizes = {"n_in": arguments.dimension, "n_hidden": 512, "n_bottleneck": 256, "n_clusters": arguments.clusters}
    student, teacher = (StackedHeads(n_heads=arguments.heads, **sizes).to(device) for _ in range(2))
    teacher.load_state_dict(student.state_dict())
    loops = [nn.ModuleList(OneHead(student, h) for h in range(arguments.heads)).to(device) for _ in range(2)]
    x, y = torch.randn(2, arguments.batch, arguments.dimension, device=device)

    def step(model: nn.Module, mean: nn.Module, loss_of, optimiser, *, fused: bool):  # noqa: ANN001, ANN202
        def run() -> torch.Tensor:
            loss = loss_of(model, mean, x, y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                if fused:
                    torch._foreach_lerp_(list(mean.parameters()), list(model.parameters()), 1 - EMA)
                else:
                    for a, b in zip(mean.parameters(), model.parameters(), strict=True):
                        a.mul_(EMA).add_(b, alpha=1 - EMA)
            return loss.detach()

        return run

    stacked = step(
        student, teacher, stacked_loss, torch.optim.AdamW(student.parameters(), lr=1e-4, fused=True), fused=True
    )
    plain = step(loops[0], loops[1], loop_loss, torch.optim.AdamW(loops[0].parameters(), lr=1e-4), fused=False)
    steps = {"stacked": stacked, "loop over heads": plain}
    first = {name: float(run()) for name, run in steps.items()}
    again = {name: float(run()) for name, run in steps.items()}
    torch.testing.assert_close(torch.tensor(list(first.values())), torch.tensor([first["stacked"]] * 2))
    torch.testing.assert_close(
        torch.tensor(list(again.values())), torch.tensor([again["stacked"]] * 2), rtol=1e-4, atol=1e-5
    )
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(arguments.rounds):
        for name, run in steps.items():
            wait(device)
            began = time.perf_counter()
            run()
            wait(device)
            times[name].append(time.perf_counter() - began)
    median = {name: float(torch.tensor(values).median()) for name, values in times.items()}
    print(
        f"TEMI step, {arguments.heads} heads, batch {arguments.batch}, D {arguments.dimension}, "
        f"C {arguments.clusters}, {device.type}, {torch.get_num_threads()} threads, "
        f"losses equal ({first['stacked']:.6f})"
    )
    for name, value in median.items():
        print(f"  {name:16s} {1000 * value:8.1f} ms (median of {arguments.rounds})")
    print(f"  ratio {median['loop over heads'] / median['stacked']:.2f}x")


if __name__ == "__main__":
    main()
