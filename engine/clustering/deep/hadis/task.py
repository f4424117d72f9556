"""What HaDis gives the trainer: views, the loss of a batch, the moving target, and pseudo-labels after each epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.clustering.deep.hadis.augment import Augmentation
from engine.clustering.deep.hadis.network import HaDisNetwork, dsa, hsd, pcl, target_momentum
from engine.clustering.deep.hadis.settings import HaDisSettings
from engine.clustering.deep.parallel import ProcessGroup
from engine.clustering.deep.trainer import Terms, Trainer, TrainingTask
from engine.clustering.kmeans import KMeans, KMeansSettings
from engine.core.vectors import Vectors
from engine.geometry.centers import mean_directions

ON_DEVICE_BYTES = 4 << 30
ENCODE_BATCH = 512
STEP_SEED, ROW_SEED = 1_000_003, 7_919


class ImageRows:
    """(n, h, w, 3) uint8 images by row number, on the device where they fit."""

    def __init__(self, images: NDArray[np.uint8], device: torch.device) -> None:
        self.shape, self.device = images.shape, device
        self._array: NDArray[np.uint8] | None = images
        self._table: Tensor | None = None
        if images.nbytes <= ON_DEVICE_BYTES:
            self._table, self._array = torch.from_numpy(np.array(images)).to(device), None

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Return (len(rows), h, w, 3) uint8 on the device."""
        if self._table is not None:
            return self._table[rows.to(self.device)]
        assert self._array is not None
        return torch.from_numpy(self._array[rows.cpu().numpy()]).to(self.device, non_blocking=True)


class HaDisTask(TrainingTask):
    """One HaDis training.

    Attributes
    ----------
    pseudo : (n,) int32
        Current pseudo-labels of the training rows.
    centers : (K, outputs) float32
        Their unit-length centres.
    sizes : list of (epoch, (K,) cluster sizes in falling order)
        One entry for each reassignment.
    """

    def __init__(
        self,
        model: HaDisNetwork,
        images: ImageRows,
        train: NDArray[np.int64],
        augmentation: Augmentation,
        settings: HaDisSettings,
        *,
        warmup_steps: int,
        processes: ProcessGroup,
    ) -> None:
        self.model: HaDisNetwork = model
        self.images, self.augmentation, self.settings = images, augmentation, settings
        self.train = torch.from_numpy(train)
        self.warmup_steps, self.processes = warmup_steps, processes
        self.pseudo = np.zeros(len(train), dtype=np.int32)
        self.centers = np.zeros((settings.n_clusters, settings.projection_dim), dtype=np.float32)
        self.sizes: list[tuple[int, list[int]]] = []
        self._labels = torch.zeros(len(train), dtype=torch.int64)

    def loss(self, rows: Tensor, run: Trainer) -> Terms:
        """Return DSA + HSD + weight x PCL of this process's rows, each averaged over both view orders."""
        rows = self.processes.share(rows)
        generator = torch.Generator().manual_seed(
            (self.settings.random_state + STEP_SEED * (run.step + 1) + ROW_SEED * int(rows[0])) % 2**63
        )
        if self.settings.balanced_sampling:
            rows = self._balanced(len(rows), generator)
        images = self.images[self.train[rows]]
        views = [self.augmentation.views(images, generator) for _ in range(2)]
        warm = run.step < self.warmup_steps
        noise = torch.randn(2, len(rows), self.settings.projection_dim, generator=generator).to(run.device)
        with run.autocast():
            online = [self.model.online(view) for view in views]
            predicted = [
                self.model.predictor(q if warm else q + self.settings.sigma * noise[i]).float()
                for i, q in enumerate(online)
            ]
            target = [self.model.target(view) for view in views]
        orders = ((0, 1), (1, 0))
        terms = {"dsa": sum_of([dsa(predicted[i], target[j]) for i, j in orders]) / 2}
        total = terms["dsa"]
        if self.settings.hardness_aware:
            terms["hsd"] = sum_of([hsd(predicted[i], target[j]) for i, j in orders]) / 2
            total = total + terms["hsd"]
        terms["pcl"] = torch.zeros((), device=run.device)
        if not warm:
            labels = self._labels[rows].to(run.device)
            terms["pcl"] = (
                sum_of(
                    [
                        pcl(
                            online[i].float(),
                            target[j],
                            labels,
                            self.settings.n_clusters,
                            temperature=self.settings.temperature,
                        )
                        for i, j in orders
                    ]
                )
                / 2
            )
            total = total + self.settings.pcl_weight * terms["pcl"]
        return {"loss": total} | terms

    def _balanced(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw rows with a probability that is the inverse of their cluster's size."""
        weights = 1.0 / torch.bincount(self._labels).clamp_min(1)[self._labels].double()
        if len(weights) > 2**24 - 1:  # multinomial's limit
            weights = weights[: 2**24 - 1]
        found: Tensor = torch.multinomial(weights, count, replacement=True, generator=generator)
        return found

    def before_step(self, run: Trainer) -> None:
        """Let the target follow the last step, and reassign at the beginning of an epoch."""
        self.follow(run)
        if run.step % (self.settings.reassign_every * run.steps_per_epoch) == 0:
            self.reassign(run)

    def follow(self, run: Trainer) -> None:
        """Move the target after a step; at the random start there is nothing to follow."""
        if run.step:
            self.model.follow(
                target_momentum(
                    self.settings.ema,
                    run.step,
                    run.total_steps,
                    to_one=self.settings.ema_to_one,
                    ramp=self.settings.preset == "data",
                )
            )

    def adjust_gradients(self, run: Trainer) -> None:
        """Average the processes' gradients."""
        self.processes.average_gradients(self.model.parameters())

    def reassign(self, run: Trainer) -> None:
        """Cluster the target's projections of all training images by cosine k-means."""
        self.processes.average(self.model.buffers())
        with run.evaluating():
            features = self.features(self.train, run)
        model = KMeans(
            KMeansSettings(n_clusters=self.settings.n_clusters, random_state=self.settings.random_state, n_init=3)
        ).fit(features)
        self.pseudo = self.processes.from_first(model.labels_, run.device)
        self._labels = torch.from_numpy(self.pseudo.astype(np.int64))
        self.centers = mean_directions(features, self.pseudo, self.settings.n_clusters)
        sizes = np.sort(np.bincount(self.pseudo, minlength=self.settings.n_clusters))[::-1]
        self.sizes.append((run.epoch, sizes.tolist()))
        if run.epoch % max(1, run.plan.n_epochs // 100) == 0:
            run.progress.snapshot(self.pseudo)

    def features(self, rows: Tensor, run: Trainer) -> Vectors:
        """Return (len(rows), outputs) unit-length target projections of the images as they are."""
        parts = torch.tensor_split(rows, self.processes.size)
        own = [
            self._encode(chunk, run)
            for chunk in parts[self.processes.rank].split(ENCODE_BATCH)
            if len(chunk)  # type: ignore[no-untyped-call]
        ]
        stacked = np.concatenate(own) if own else np.zeros((0, self.settings.projection_dim), np.float32)
        return self.processes.gather(stacked, [len(part) for part in parts], run.device)

    def _encode(self, rows: Tensor, run: Trainer) -> Vectors:
        with run.autocast():
            return self.model.target(self.augmentation.plain(self.images[rows])).cpu().numpy()

    def state(self) -> dict[str, Any]:
        """Return pseudo-labels and the history of sizes."""
        return {
            "pseudo": torch.from_numpy(self.pseudo),
            "centers": torch.from_numpy(self.centers),
            "epochs": torch.tensor([epoch for epoch, _ in self.sizes], dtype=torch.int64),
            "sizes": torch.tensor([sizes for _, sizes in self.sizes], dtype=torch.int64),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.pseudo, self.centers = state["pseudo"].numpy(), state["centers"].numpy()
        self._labels = state["pseudo"].long()
        self.sizes = list(zip(state["epochs"].tolist(), state["sizes"].tolist(), strict=True))


def sum_of(values: list[Tensor]) -> Tensor:
    """Return the sum of scalar tensors."""
    return torch.stack(values).sum()


def image_statistics(
    images: NDArray[np.uint8], train: NDArray[np.int64], *, sample: int = 20_000
) -> tuple[list[float], list[float], bool]:
    """Return the channels' mean and standard deviation in [0, 1], and whether the images have no colour.

    Computed on at most `sample` evenly spaced training images.
    """
    rows = train[np.unique(np.linspace(0, len(train) - 1, min(sample, len(train))).astype(np.int64))]
    total, squares, count, gray = np.zeros(3), np.zeros(3), 0, True
    for start in range(0, len(rows), 2048):
        block = images[rows[start : start + 2048]].reshape(-1, 3)
        gray = gray and bool((block[:, 0] == block[:, 1]).all() and (block[:, 1] == block[:, 2]).all())
        scaled = block.astype(np.float64) / 255
        total += scaled.sum(axis=0)
        squares += (scaled**2).sum(axis=0)
        count += len(block)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean.tolist(), np.maximum(deviation, 1 / 255).tolist(), gray
