"""HaDis on digits: accuracy after each epoch against k-means on pixels, and a step against a plain implementation.

    python -m benchmarks.bench_hadis [--seeds 3] [--epochs 60] [--propos] [--paper-views]
    python -m benchmarks.bench_hadis --step

Training prints the accuracy of the current pseudo-labels; --step prints seconds and the ratio to per-image
torchvision views with contiguous tensors, both in one run, median of several. Seconds there are processor
time, which a shared machine disturbs less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks.machine import add_device, chosen, print_machine, wait
from engine.clustering.deep.hadis.estimator import HaDis
from engine.clustering.deep.hadis.settings import HaDisSettings
from engine.clustering.kmeans import KMeans, KMeansSettings
from engine.evaluation.agreement import accuracy, ari, nmi

# what suits upright 8 x 8 characters; --paper-views takes the paper's
DIGIT_VIEWS = {"flip": False, "smallest_crop": 0.4, "colour_jitter": 0.5}


class Curve:
    """Prints accuracy at each snapshot."""

    def __init__(self, truth: np.ndarray) -> None:
        self.truth, self.accuracies, self.began = truth, [], time.monotonic()

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        pass

    def say(self, sentence: str) -> None:
        print("   ", sentence)

    def stop_requested(self) -> bool:
        return False

    def snapshot(self, labels: np.ndarray) -> None:
        self.accuracies.append(accuracy(self.truth, labels))
        if len(self.accuracies) % 5 == 1:
            seconds = time.monotonic() - self.began
            print(f"    epoch {len(self.accuracies) - 1}: {self.accuracies[-1]:.3f} ({seconds:.0f} s)", flush=True)


def train(given: argparse.Namespace) -> None:
    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)
    pixels = KMeans(KMeansSettings(n_clusters=10)).fit(digits.data.astype(np.float32)).labels_
    print(
        f"k-means on pixels: accuracy {accuracy(digits.target, pixels):.3f}, NMI {nmi(digits.target, pixels):.3f}, "
        f"ARI {ari(digits.target, pixels):.3f}"
    )
    found = []
    for seed in range(given.seeds):
        views = {} if given.paper_views else DIGIT_VIEWS
        settings = HaDisSettings(
            n_clusters=10,
            backbone="resnet_small",
            batch_size=128,
            n_epochs=given.epochs,
            min_steps=1,
            random_state=seed,
            hardness_aware=not given.propos,
            device="cpu",
            **views,
        )
        began, curve = time.monotonic(), Curve(digits.target)
        labels = HaDis(settings).fit(images, progress=curve).labels_
        scores = [measure(digits.target, labels) for measure in (accuracy, nmi, ari)]
        found.append(scores)
        print(
            f"seed {seed}: accuracy {scores[0]:.3f}, NMI {scores[1]:.3f}, ARI {scores[2]:.3f}, "
            f"{time.monotonic() - began:.0f} s, {time.process_time():.0f} s of processor so far",
            flush=True,
        )
    mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
    print("mean (std):", ", ".join(f"{m:.3f} ({s:.3f})" for m, s in zip(mean, spread, strict=True)))


def step(given: argparse.Namespace) -> None:
    from torchvision import transforms

    from engine.clustering.deep.hadis.augment import Augmentation
    from engine.clustering.deep.hadis.network import HaDisNetwork, dsa, hsd, pcl

    side, count = given.side, given.batch
    rng = np.random.default_rng(0)
    device = chosen(given)
    print_machine(device)
    images = torch.from_numpy(rng.integers(256, size=(count, side, side, 3)).astype(np.uint8)).to(device)
    labels = torch.arange(count, device=device) % 10
    mean, std = [0.5] * 3, [0.25] * 3
    own = Augmentation(side, mean, std)
    plain = transforms.Compose(
        [
            transforms.RandomResizedCrop(side, antialias=True),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8),
            transforms.RandomGrayscale(0.2),
            transforms.Normalize(mean, std),
        ]
    )
    generator = torch.Generator().manual_seed(0)

    def batched() -> torch.Tensor:
        return own.views(images, generator)

    def one_by_one() -> torch.Tensor:
        return torch.stack([plain(image.permute(2, 0, 1).float() / 255) for image in images])

    networks = [HaDisNetwork("resnet_small", side, hidden=512).to(device) for _ in range(2)]
    for module in (networks[1].encoder, networks[1].target_encoder):
        module.to(memory_format=torch.contiguous_format)

    def now() -> float:
        """Return processor time on a CPU, which others disturb less; else the time when the device is through."""
        wait(device)
        return time.process_time() if device.type == "cpu" else time.perf_counter()

    def whole(network: HaDisNetwork, views: Callable[[], torch.Tensor]) -> float:
        began = now()
        pair = [views(), views()]
        online = [network.online(view) for view in pair]
        predicted = [network.predictor(q) for q in online]
        target = [network.target(view) for view in pair]
        loss = sum(
            dsa(predicted[i], target[j]) + hsd(predicted[i], target[j]) + 0.1 * pcl(online[i], target[j], labels, 10)
            for i, j in ((0, 1), (1, 0))
        )
        network.zero_grad()
        loss.backward()
        return now() - began

    def only(views: Callable[[], torch.Tensor]) -> float:
        began = now()
        views()
        return now() - began

    for name, mine, theirs in (
        ("views", lambda: only(batched), lambda: only(one_by_one)),
        ("whole step", lambda: whole(networks[0], batched), lambda: whole(networks[1], one_by_one)),
    ):
        pairs = [(mine(), theirs()) for _ in range(given.repeats + 1)][1:]
        a, b = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"{name}, {count} images of {side} px: {a:.3f} s, plain {b:.3f} s, {b / a:.2f} times as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--propos", action="store_true")
    parser.add_argument("--paper-views", action="store_true")
    parser.add_argument("--step", action="store_true")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    add_device(parser)
    given = parser.parse_args()
    if given.step:
        step(given)
    else:
        train(given)


if __name__ == "__main__":
    main()
