"""From published settings to settings that train on this many images: what every deep method's preset shares.

Published values assume 50,000 images and a GPU. `preset="data"` keeps them as upper bounds and resolves
epochs, batch, neighbours and warm-up for the number of images at hand; `preset="paper"` uses them as
they stand and refuses what cannot work. What a person gave is kept by both, also where it equals the default.
Nothing here imports torch.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Self

from engine.core.device import Reproducible
from engine.core.errors import InputError
from engine.core.settings import Settings, setting

Preset = Literal["data", "paper"]
Scaling = Literal["none", "l2", "standardise", "centre", "principal"]
WarmStart = Literal["none", "kmeans", "graph", "run"]
# Neighbours over which the warm start "graph" averages; see `start_labels.smoothed`.
SMOOTH_NEIGHBORS = 15
# Epochs that the preset "data" makes at least on a CPU, where the published number would take hours.
LEAST_EPOCHS = 3


class DeepSettings(Settings):
    """What every deep clustering method asks; a method's model adds its own fields."""

    n_clusters: int = setting(10, "How many clusters to form.", ge=2, le=2000)
    preset: Preset = setting(
        "data",
        "data: fit what you did not set to the number of images and the machine; "
        "paper: the published values as they stand, without a warm start.",
    )
    random_state: int = setting(0, "Seed of every random draw.", ge=0, le=2**31 - 1, advanced=True)
    device: str = setting("auto", "Where to train: auto, cpu, cuda, cuda:1 or mps.", advanced=True, runtime=True)
    reproducible: Reproducible = setting(
        "auto",
        "Whether the same seed gives the same result to the last bit, and a resumed run the same as a whole one. auto: "
        "on a CPU, where it costs nothing; not on a GPU, where slower kernels replace those that add in any order. "
        "Without it results differ as those of two seeds do.",
        advanced=True,
        runtime=True,
    )

    def trained(self, n: int, device: str, *, side: int = 0) -> Self:
        """Return the settings that train `n` images on "cpu", "cuda" or "mps"; `side` is the images' edge in pixels.

        Raises
        ------
        InputError
            What cannot be trained so.
        """
        raise NotImplementedError

    def multiply_adds(self, n: int, columns: int) -> float:
        """Return the multiplications of a step of these resolved settings, about, for inputs of `columns` numbers."""
        raise NotImplementedError

    @property
    def steps_before(self) -> int:
        """Steps of a warm start, beside those of `n_epochs`."""
        return 0


class WarmStartSettings(DeepSettings):
    """What methods ask that train on embeddings and may be fitted to a first clustering before.

    A method's model overrides these fields with its own defaults and says in `for_data`, `for_cpu` and `for_cold` what
    the preset "data" puts in the place of published values: everywhere, on a CPU, and without a warm start.
    """

    for_data: ClassVar[dict[str, Any]] = {}
    for_cpu: ClassVar[dict[str, Any]] = {}
    for_cold: ClassVar[dict[str, Any]] = {}

    warm_start: WarmStart = setting(
        "graph",
        "What the network is fitted to first: k-means, graph (k-means on neighbour averages), a chosen run, or none.",
    )
    n_epochs: int = setting(100, "Passes over the images.", ge=1, le=100_000)
    min_steps: int = setting(
        500,
        "Optimiser steps that the preset makes at least, however few images there are.",
        ge=1,
        le=100_000,
        advanced=True,
    )
    batch_size: int = setting(256, "Images per optimiser step.", ge=2, le=65_536, log=True)
    warm_start_steps: int = setting(150, "Cross-entropy steps of the warm start.", ge=1, le=10_000, advanced=True)

    @property
    def least_steps(self) -> int:
        """Optimiser steps that the preset "data" makes at least."""
        return self.min_steps

    @property
    def batch_per_cluster(self) -> int:
        """Images of each cluster to which the preset "data" raises a batch on average."""
        return 2

    @property
    def input_scaling(self) -> tuple[Scaling, int]:
        """How inputs are scaled, see `data.Normaliser`, and the axes of the principal scaling."""
        return "l2", 0

    @property
    def start(self) -> WarmStart:
        """The warm start that is made: the papers make none, so the preset "paper" makes only one that was given."""
        return "none" if self.preset == "paper" and "warm_start" not in self.model_fields_set else self.warm_start

    @property
    def steps_before(self) -> int:
        """Steps of the warm start."""
        return 0 if self.start == "none" else self.warm_start_steps

    @property
    def graph_neighbors(self) -> int:
        """Neighbours of each image that `fit` reads, 0 where it reads none."""
        return SMOOTH_NEIGHBORS if self.start != "none" else 0

    def trained(self, n: int, device: str, *, side: int = 0) -> Self:
        """Return `resolved(n, device)`."""
        return self.resolved(n, device)

    def resolved(self, n: int, device: str) -> Self:
        """Return the settings as they will be used for `n` images on "cpu", "cuda" or "mps".

        With the preset "data", values that were left at the published default are fitted to the data; values that
        a person changed are kept, except for a batch above n // 2.

        Raises
        ------
        InputError
            Fewer than two images per cluster; K larger than the batch; with "paper", a batch beyond n.
        """
        check_enough(n, self.n_clusters)
        fitted, given = self, self.model_fields_set
        if self.preset == "data":
            wanted = self.for_data | (self.for_cpu if device == "cpu" else {})
            wanted |= self.for_cold if self.start == "none" else {}
            fitted = self.changed(**{name: value for name, value in wanted.items() if name not in given})
        batch = batch_for(
            self.preset,
            fitted.batch_size,
            n,
            n_clusters=self.n_clusters,
            per_cluster=self.batch_per_cluster,
            given="batch_size" in given,
        )
        n_epochs = fitted.n_epochs
        if self.preset == "data" and "n_epochs" not in given:
            needed = math.ceil(fitted.least_steps / steps_per_epoch(n, batch))
            n_epochs = max(needed, LEAST_EPOCHS if device == "cpu" else n_epochs)
        return fitted.changed(
            batch_size=batch, n_epochs=n_epochs, warm_start=self.start, warm_start_steps=warm_start_for(self)
        )


def check_enough(n: int, n_clusters: int) -> None:
    """Refuse fewer than two images per cluster.

    Raises
    ------
    InputError
    """
    if n < 2 * n_clusters:
        raise InputError(
            f"{n:,} images are too few to train {n_clusters:,} clusters.",
            f"Use at least {2 * n_clusters:,} images or at most {max(n // 2, 1):,} clusters.",
        )


def batch_for(
    preset: Preset, published: int, n: int, *, n_clusters: int, per_cluster: int = 1, given: bool = False
) -> int:
    """Return the batch size for `n` images: min(published, n // 2), raised to `per_cluster` x K where n allows.

    One that a person gave is kept where there are so many images.

    Parameters
    ----------
    published : int
        The setting as given.
    n_clusters : int
        A batch below it cannot show every cluster and is refused.
    per_cluster : int
        Images of each cluster that a batch needs on average (CLUDI: 4); only the "data" preset raises to it.

    Raises
    ------
    InputError
        K larger than the batch, or the "paper" preset with a batch larger than n.
    """
    if preset == "paper" and published > n:
        raise InputError(
            f"The batch of {published:,} is larger than the {n:,} images.",
            'Choose the preset "data" or a smaller batch size.',
        )
    batch = published if preset == "paper" else published if given and published <= n else min(published, n // 2)
    if preset == "data" and not given:
        batch = max(batch, min(per_cluster * n_clusters, n // 2))
    if batch < n_clusters:
        raise InputError(
            f"A batch of {batch:,} is smaller than the {n_clusters:,} clusters, so no batch can show them all.",
            f"Use a batch size of at least {max(per_cluster, 1) * n_clusters:,}."
            if n >= 2 * n_clusters
            else "Use fewer clusters.",
        )
    return batch


def raised_batch(published: int, batch: int, n_clusters: int) -> str | None:
    """Return a sentence when the preset raised the batch above the published one, else None."""
    if batch <= published:
        return None
    return (
        f"The batch was raised from {published:,} to {batch:,} so that it can show each of the {n_clusters:,} clusters."
    )


def not_kept(settings: Settings, resolved: Settings, n: int) -> str | None:
    """Return a sentence that names the given settings that `n` images do not allow, None where all are kept."""
    wanted, found = settings.model_dump(exclude_unset=True), resolved.model_dump()
    other = [f"{name} is {found[name]} instead of {value}" for name, value in wanted.items() if found[name] != value]
    return f"With {n:,} images {', '.join(other)}." if other else None


def neighbors_for(preset: Preset, published: int, n: int, n_clusters: int, *, given: bool = False) -> int:
    """Return k for `n` images: min(published, n // (2 K)), at least 5 and below n; one that was given only below n.

    Raises
    ------
    InputError
        The "paper" preset with k >= n.
    """
    if preset == "paper":
        if published >= n:
            raise InputError(
                f"{published} neighbours cannot be drawn from {n:,} images.",
                f'Choose the preset "data" or at most {max(n - 1, 1)} neighbours.',
            )
        return published
    wanted = published if given else max(5, min(published, n // (2 * n_clusters)))
    return max(1, min(wanted, published, n - 1))


def epochs_for(preset: Preset, published: int, n: int, *, batch_size: int, min_steps: int, given: bool = False) -> int:
    """Return max(published epochs, the epochs that make `min_steps` optimiser steps); those given where they are."""
    if preset == "paper" or given:
        return published
    return max(published, math.ceil(min_steps / steps_per_epoch(n, batch_size)))


def warmup_for(preset: Preset, published: int, n_epochs: int, *, given: bool = False) -> int:
    """Return warm-up epochs: those given; the published ones, which "data" keeps below a tenth of the run."""
    return published if preset == "paper" or given else min(published, n_epochs // 10)


def warm_start_for(settings: WarmStartSettings) -> int:
    """Return the steps of a warm start: those given; the preset's own grow with K above 20, at most tenfold.

    A network learns 50 clusters more slowly than 10: on 50 planted families CPP ended at .77 after 150 steps of
    warm start and at .92, where it had started, after 400.
    """
    if settings.preset == "paper" or "warm_start_steps" in settings.model_fields_set:
        return settings.warm_start_steps
    return round(settings.warm_start_steps * min(max(settings.n_clusters / 20, 1), 10))


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Return full batches per epoch; the rest of each epoch's shuffle waits for the next one."""
    return max(1, n // batch_size)
