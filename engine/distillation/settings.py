"""The settings of dataset distillation; light, so that a page or the command line never waits for torch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import ValidationInfo, field_validator

from engine.core.settings import Settings, setting

Preset = Literal["quick", "balanced", "thorough"]
MethodName = Literal["ridge", "trajectory", "selmatch", "lgm"]
TITLES: dict[str, str] = {
    "ridge": "Ridge selection",
    "trajectory": "Trajectory matching",
    "selmatch": "SelMatch",
    "lgm": "Linear gradient matching",
    "random": "Random images",
    "centroid": "Class centroids",
    "kmeans": "k-means per class",
    "herding": "Herding",
}
BASELINES = ("random", "centroid", "kmeans", "herding")


class DistilSettings(Settings):
    """Settings of dataset distillation; the defaults are those of the preset "thorough"."""

    # What a preset puts in the place of the settings that were not given.
    presets: ClassVar[dict[Preset, dict[str, Any]]] = {
        "quick": {"methods": ("ridge",), "starts": 4, "seeds": 3, "evaluation_updates": 500},
        "balanced": {"methods": ("ridge",), "starts": 8},
        "thorough": {},
    }

    preset: Preset = setting(
        "balanced",
        "quick: ridge selection, the real images that a classifier learns best from; balanced: with more tries, and "
        "measured more often; thorough: also the matching methods, which make rows that are no images and name no "
        "better ones.",
    )
    images_per_class: int = setting(10, "Rows kept for each cluster.", ge=1, le=1000, log=True, search=[1, 10, 50])
    distill_epochs: int = setting(100, "Passes; one pass is one outer step for each expert.", ge=1, le=10_000, log=True)
    distill_lr: float = setting(
        0.1, "Step of the synthetic rows, in units of their root mean square per coordinate.", ge=1e-4, le=10, log=True
    )
    inner_epochs: int = setting(10, "Gradient steps a student takes on the synthetic rows.", ge=1, le=100)
    methods: tuple[MethodName, ...] = setting(
        ("ridge", "trajectory", "selmatch", "lgm"),
        "Which methods to run; each is compared with all baselines. The images of the one that agrees best with the "
        "training labels are kept.",
    )
    evaluate: bool = setting(
        True, "Measure test accuracy against full data and baselines, over all seeds.", aliases=("evaluate-distilled",)
    )
    seeds: int = setting(5, "Repetitions that the mean and the spread are taken over.", ge=1, le=50)
    test_fraction: float = setting(
        0.2, "Share set aside for measuring where the data set has no test split.", ge=0.05, le=0.5
    )
    hidden: int = setting(0, "Width of the classifier's hidden layer; 0 is a linear classifier.", ge=0, le=4096)
    starts: int = setting(
        32,
        "Ridge selection: tries from different orders, the best of which is used; fewer where hundreds are kept.",
        ge=1,
        le=1000,
        log=True,
        advanced=True,
    )
    ridge: float = setting(
        1.0, "Ridge selection: penalty on the classifier's weights.", ge=1e-3, le=1e3, log=True, advanced=True
    )
    n_experts: int = setting(10, "Classifiers trained on the full set to be imitated.", ge=1, le=50, advanced=True)
    expert_epochs: int = setting(20, "Passes of each expert over the full set.", ge=2, le=200, advanced=True)
    match_epochs: int = setting(2, "Expert epochs that one student run imitates (M).", ge=1, le=10, advanced=True)
    alpha: float | None = setting(
        None,
        "SelMatch: share of each class that may change; by images per class when empty.",
        ge=0,
        le=1,
        advanced=True,
    )
    beta: float | None = setting(
        None,
        "SelMatch: hardest images skipped, as a multiple of images per class; by table when empty.",
        ge=0,
        le=20,
        advanced=True,
    )
    evaluation_updates: int = setting(
        1000,
        "Updates that every evaluated classifier gets, whatever it is trained on.",
        ge=50,
        le=100_000,
        log=True,
        advanced=True,
    )
    n_components: int = setting(
        128,
        "Leading principal axes on which rows are matched and measured; all where the embeddings have fewer.",
        ge=2,
        le=4096,
        log=True,
        advanced=True,
    )
    random_state: int = setting(0, "Seed of the first repetition.", ge=0, le=2**31 - 1, advanced=True)
    device: str = setting("auto", "Where to compute: auto, cpu, cuda, mps.", runtime=True, advanced=True)

    @field_validator("methods")
    @classmethod
    def _at_least_one(cls, value: tuple[MethodName, ...]) -> tuple[MethodName, ...]:
        if not value:
            raise ValueError("choose at least one method")
        return tuple(dict.fromkeys(value))

    @field_validator("match_epochs")
    @classmethod
    def _inside_the_expert(cls, value: int, info: ValidationInfo) -> int:
        epochs = info.data.get("expert_epochs", value)
        if value > epochs:
            raise ValueError("it cannot exceed expert_epochs")
        return value

    def resolved(self) -> Self:
        """Return the settings that are used: what was given, and the preset's values for the rest."""
        wanted = self.presets[self.preset]
        return self.changed(**{name: value for name, value in wanted.items() if name not in self.model_fields_set})
