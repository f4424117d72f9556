"""CPP's conditional coding rate, forward and backward, against a batched determinant, with the peak memory of both.

    python -m benchmarks.bench_cpp            # d 64, n_b 256 and 512

The alternative builds all n_b matrices of d x d at once and takes `torch.logdet` of the batch with autograd. Each
measurement runs in a process of its own, so that the peak resident memory is that measurement's; the growth over the
process's memory before the step is printed. Values and gradients must agree before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys

from benchmarks.machine import add_device, chosen, print_machine


def measure(kind: str, n: int, d: int, repeats: int, on: str) -> dict[str, float]:
    """Return seconds (median), peak growth in MiB, and value and gradient for the comparison."""
    import torch
    from torch.nn import functional

    from benchmarks.machine import seconds
    from engine.clustering.deep.cpp.rate_reduction import conditional_rate

    torch.manual_seed(0)
    device = torch.device(on)
    z = functional.normalize(torch.randn(n, d), dim=1).to(device).requires_grad_()
    g = torch.softmax((functional.normalize(torch.randn(n, d), dim=1) @ torch.randn(d, n)), dim=1)
    g = g.to(device).requires_grad_()

    def batched() -> torch.Tensor:
        size = g.sum(dim=0) + 1e-8
        scatter = torch.einsum("ia,ij,ib->jab", z, g, z)
        matrices = torch.eye(d, device=device) + (d / (0.1 * size))[:, None, None] * scatter
        return (size / (2 * n) * torch.logdet(matrices)).sum()

    def run() -> torch.Tensor:
        z.grad = g.grad = None
        value = conditional_rate(z, g) if kind == "ours" else batched()
        value.backward()
        return value.detach()

    torch.linalg.cholesky(torch.eye(8).expand(4, 8, 8))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    value = float(run())
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
    taken = seconds(run, device, repeats=repeats)
    assert z.grad is not None and g.grad is not None
    return {
        "seconds": taken,
        "peak": peak,
        "value": value,
        "grad_z": float(z.grad.norm()),
        "grad_g": float(g.grad.norm()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    add_device(parser)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        wanted = arguments.one, arguments.batches[0], arguments.dimension, arguments.repeats, arguments.device
        print(json.dumps(measure(*wanted)))
        return
    device = chosen(arguments)
    print_machine(device)
    for n in arguments.batches:
        found = {}
        for kind in ("ours", "batched logdet"):
            command = [
                sys.executable,
                "-m",
                "benchmarks.bench_cpp",
                "--one",
                kind,
                "--batches",
                str(n),
                "--dimension",
                str(arguments.dimension),
                "--repeats",
                str(arguments.repeats),
                "--device",
                str(device),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[kind] = json.loads(done.stdout)
        ours, other = found["ours"], found["batched logdet"]
        for name in ("value", "grad_z", "grad_g"):
            assert abs(ours[name] - other[name]) <= 2e-3 * abs(other[name]), (name, ours[name], other[name])
        print(
            f"n_b {n}, d {arguments.dimension}: ours {ours['seconds'] * 1e3:.0f} ms, peak +{ours['peak']:.0f} MiB; "
            f"batched logdet {other['seconds'] * 1e3:.0f} ms, peak +{other['peak']:.0f} MiB; "
            f"{other['seconds'] / ours['seconds']:.1f}x faster, {other['peak'] / max(ours['peak'], 1):.1f}x less memory"
        )


if __name__ == "__main__":
    main()
