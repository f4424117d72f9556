"""What a person can tell the sweep; light, so that a page or the command line never waits for a library."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator, model_validator

from engine.clustering.sweep_scope import SweepMode
from engine.core.settings import setting
from engine.evaluation.scores import CompositeSettings
from engine.selection.sweep.grid import ALGORITHMS

Budget = Literal["1m", "5m", "30m", "none"]
Ranking = Literal["evidence", "composite"]
_SECONDS: dict[Budget, float] = {"1m": 60.0, "5m": 300.0, "30m": 1800.0}
_MODES: dict[Budget, SweepMode] = {"1m": "fast", "5m": "balanced", "30m": "comprehensive", "none": "comprehensive"}


class SweepSettings(CompositeSettings):
    """Settings of the sweep; the weights of the composite are among them."""

    budget: Budget | None = setting(
        None,
        "How long to look: 1m, 5m, 30m, or none for as long as it takes. Good cheap candidates come first; what there "
        "was no time for is listed.",
        label="Time",
    )
    mode: SweepMode | None = setting(
        None,
        "fast tries about 40 candidates, balanced about 80, comprehensive over 200; gpu is balanced, and is refused "
        "where there is no GPU. Every mode uses a GPU that is there, by one process that owns it. Methods that train a "
        "network are tried from balanced on, where the time limit allows. When empty, as the time "
        "allows: fast for one minute and where no time is given, balanced for five, else comprehensive.",
    )
    n_clusters: int | None = setting(
        None,
        "If you know roughly: half to double as many are tried. Every number from 2 to 300 is searched when empty.",
        ge=2,
        le=100_000,
        label="About how many groups",
    )
    target_cluster_size: int | None = setting(
        None,
        "If you would rather say how large a group should be; with a number of groups, that one counts.",
        ge=5,
        le=100_000,
        label="Groups of about so many images",
    )
    algorithms: tuple[str, ...] = setting(ALGORITHMS, "Methods to try.", choices=ALGORITHMS)
    min_clusters: int | None = setting(None, "Fewest clusters to try; 2 when empty.", ge=2, le=100_000)
    max_clusters: int | None = setting(None, "Most clusters to try; 300 when empty.", ge=2, le=100_000)
    max_combinations: int | None = setting(None, "At most so many candidates, taken evenly.", ge=1, le=1000)
    top_results: int = setting(10, "How many of the best are kept with their own folder.", ge=1, le=100)
    stability: bool = setting(True, "Check how much the best change on other subsets of the images.")
    ranking: Ranking = setting(
        "evidence",
        "evidence: groups that come back on other subsets of the images, can be learned by a classifier and keep "
        "neighbours together, be they even or uneven. composite: even groups, silhouette and little noise, by "
        "weights of your own.",
        advanced=True,
    )
    near_tie: float = setting(
        0.05,
        "Composites this close count as a tie, which the stability breaks.",
        ge=0,
        le=0.5,
        step=0.01,
        advanced=True,
    )
    max_largest_share: float = setting(
        0.5,
        "Clusterings with one cluster above this share rank below all others.",
        ge=0.01,
        le=1,
        step=0.01,
        advanced=True,
    )
    shuffles: int = setting(
        5, "Shuffles of the labels that set the floor a silhouette must pass.", ge=2, le=50, advanced=True
    )
    halving_above: int = setting(
        100_000,
        "Above so many images all candidates run on a sample first, the best quarter in full.",
        ge=100,
        le=100_000_000,
        log=True,
        advanced=True,
    )
    halving_sample: int = setting(50_000, "Images in that sample.", ge=50, le=1_000_000, log=True, advanced=True)
    random_state: int = setting(0, "Seed.", ge=0, le=2**31 - 1, advanced=True)
    n_jobs: int = setting(0, "Worker processes, one thread each; 0 takes the free cores.", ge=0, le=256, runtime=True)
    time_limit: float = setting(
        600.0, "Seconds a candidate may take before it is ended.", ge=0.1, le=86_400, log=True, runtime=True
    )
    memory_limit_mb: float | None = setting(
        None,
        "MiB of its own that a candidate may take before it is ended.",
        ge=50,
        le=1_000_000,
        log=True,
        runtime=True,
        advanced=True,
    )
    no_gpu: bool = setting(False, "Leave the GPU alone.", runtime=True, advanced=True)
    no_parallel: bool = setting(False, "One worker process at a time.", runtime=True, advanced=True)
    skip_embeddings: bool = setting(
        False, "Use embeddings that are there; never compute any.", runtime=True, advanced=True
    )

    @property
    def tried(self) -> SweepMode:
        """The mode: as given, else what the budget has time for."""
        return self.mode or (_MODES[self.budget] if self.budget else "fast")

    @property
    def seconds(self) -> float | None:
        """Seconds that the whole sweep may take; None where it takes as long as it takes."""
        return _SECONDS.get(self.budget) if self.budget else None

    def wanted_clusters(self, count: int) -> int | None:
        """Return about how many clusters of `count` images the person expects; None where nothing was said."""
        if self.n_clusters is not None:
            return self.n_clusters
        return None if self.target_cluster_size is None else max(2, round(count / self.target_cluster_size))

    @field_validator("algorithms")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError(f"must be some of {', '.join(ALGORITHMS)}")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> SweepSettings:
        if self.min_clusters and self.max_clusters and self.min_clusters > self.max_clusters:
            raise ValueError("min_clusters must not be above max_clusters")
        return self
