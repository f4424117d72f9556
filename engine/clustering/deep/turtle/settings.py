"""Settings of TURTLE and how they are fitted to the data; no torch here."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from engine.clustering.deep.presets import (
    SMOOTH_NEIGHBORS,
    Scaling,
    WarmStart,
    WarmStartSettings,
    check_enough,
    steps_per_epoch,
    warm_start_for,
)
from engine.core.settings import setting

# Outer steps that the paper makes, whatever the number of images.
PUBLISHED_STEPS = 6_000
MOST_STEPS = 2_000
# Axes that the preset "data" keeps of each space.
LEAST_AXES = 32
AXES_PER_CLUSTER = 3


class TURTLESettings(WarmStartSettings):
    """Settings of TURTLE; the defaults are the published ones, `preset` fits them to the data."""

    # Chosen on photographs and digits: among 1,280 dimensions classifiers learn any labels of a few hundred images.
    for_data: ClassVar[dict[str, Any]] = {
        "learning_rate": 3e-3,
        "inner_learning_rate": 3e-3,
        "inner_start": "warm",
        "gamma": 2.0,
        "normalise": "principal",
        "n_neighbors": SMOOTH_NEIGHBORS,
    }

    # Of classes of 1 to 20 it finds more than the default; see docs/figures.md.
    for_uneven: ClassVar[dict[str, Any]] = {"gamma": 0.5}

    warm_start: WarmStart = setting(
        "none",
        "What the labels are fitted to first: k-means, graph (k-means on neighbour averages), a chosen run, or none.",
    )
    sizes: Literal["even", "uneven"] = setting(
        "even", "Whether the groups are about even, or may be uneven: some many times larger than others."
    )
    gamma: float = setting(
        10.0,
        "How strongly sizes are kept about even: 10 as published, 2 by the preset data, 0.5 where they may be uneven.",
        ge=0.0,
        le=1000.0,
        search=(1.0, 20.0),
    )
    n_heads: int = setting(
        3,
        "Labellings trained side by side from different starts; the one that a classifier learns best is used.",
        ge=1,
        le=50,
    )
    n_epochs: int = setting(
        PUBLISHED_STEPS,
        "Passes over the images at most; up to 10,000 images a pass is one step. It ends when labels stand still.",
        ge=1,
        le=100_000,
    )
    min_steps: int = setting(
        300, "Steps before labels that stand still end the training.", ge=1, le=100_000, advanced=True
    )
    batch_size: int = setting(10_000, "Images per step at most.", ge=2, le=65_536, log=True)
    learning_rate: float = setting(1e-3, "Step size of the labelling.", ge=1e-6, le=0.1, log=True, search=(3e-4, 1e-2))
    inner_steps: int = setting(
        10, "Steps that the linear classifiers train between two steps of the labelling.", ge=1, le=1000, advanced=True
    )
    inner_learning_rate: float = setting(
        1e-3, "Step size of the linear classifiers.", ge=1e-6, le=0.1, log=True, advanced=True
    )

    n_neighbors: int = setting(
        0, "Neighbours with which each image is averaged before training; 0 takes the images as they are.", ge=0, le=500
    )
    inner_start: Literal["warm", "cold"] = setting(
        "cold", "Where the classifiers start at each step: warm from the last one's, cold at random.", advanced=True
    )
    normalise: Literal["standardise", "principal"] = setting(
        "standardise",
        "How each space is scaled: each dimension to variance 1, or its leading principal axes only.",
        advanced=True,
    )
    n_components: int = setting(32, "Axes of the principal scaling.", ge=2, le=4096, log=True, advanced=True)

    @property
    def input_scaling(self) -> tuple[Scaling, int]:
        """The estimator scales each space by itself, so nothing is left to scale."""
        return "none", 0

    @property
    def graph_neighbors(self) -> int:
        """Neighbours of each image that `fit` reads: those that it averages with, and those of the warm start."""
        averaged = self.n_neighbors
        if self.preset == "data" and "n_neighbors" not in self.model_fields_set:
            averaged = self.for_data["n_neighbors"]
        return max(averaged, super().graph_neighbors)

    def resolved(self, n: int, device: str) -> Self:
        """Return the settings as they will be used for `n` images.

        The batch is all images up to `batch_size`, as published. Unless passes were given, the preset "paper" makes
        6,000 steps, and "data" at most a third of that: labels stood still after 200 to 600 on every set at hand.

        Raises
        ------
        InputError
            Fewer than two images per cluster.
        """
        check_enough(n, self.n_clusters)
        batch = max(2, min(self.batch_size, n))
        values: dict[str, Any] = {
            "batch_size": batch,
            "warm_start": self.start,
            "warm_start_steps": warm_start_for(self),
        }
        wanted: dict[str, Any] = {}
        if self.preset == "data":
            wanted = self.for_data | {"n_components": max(LEAST_AXES, AXES_PER_CLUSTER * self.n_clusters)}
        wanted |= self.for_uneven if self.sizes == "uneven" else {}
        values |= {name: value for name, value in wanted.items() if name not in self.model_fields_set}
        if "n_epochs" not in self.model_fields_set:
            steps = PUBLISHED_STEPS if self.preset == "paper" else MOST_STEPS
            values["n_epochs"] = -(-steps // steps_per_epoch(n, batch))
        return self.changed(**values)

    def multiply_adds(self, n: int, columns: int) -> float:
        """Return the multiplications of a step: the classifiers forward and back, the labels and their gradient."""
        n_in = min(columns, self.n_components) if self.normalise == "principal" else columns
        return float(self.batch_size * n_in * self.n_heads * self.n_clusters * (2 * self.inner_steps + 4))
