"""The registry of clustering methods: adding one is one file and one line in `METHODS`.

An entry names its module; nothing heavy is imported until `settings_class` or `build` is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from engine.core.errors import InputError

if TYPE_CHECKING:
    from engine.clustering.base import ClusterEstimator
    from engine.clustering.sweep_scope import SweepScope
    from engine.core.settings import Settings


@dataclass(frozen=True)
class Method:
    """A clustering method as pages, command line, sweep and tests see it.

    Attributes
    ----------
    name : str
        Its name in settings, flags and files.
    title, sentence : str
        The card: name and one sentence on when to use it.
    module, estimator : str
        Where it lives; its settings model is `<estimator>Settings` in the same module.
    kind : "fast" | "deep"
        Fast methods answer while a slider is dragged; deep ones train in a job.
    takes : "vectors" | "images" | "spaces"
        What `fit` is given: one (n, d) array of embeddings, (n, side, side, 3) uint8 images, or several arrays of
        embeddings of the same n images.
    predicts : bool
        Whether `predict` labels what was not seen in `fit`.
    noise : bool
        Whether it may leave rows without a cluster, labelled -1.
    on_gpu : bool
        Whether `fit` computes on a GPU where there is one.
    sweeps : bool
        Whether a sweep tries it, with the candidates of its own `sweep_grid`.
    starts_from_labels : bool
        Whether the labels of another run can be its start, given to `start_from`.
    counts_after_training : bool
        Whether a trained model draws a `coding_curve` over numbers of clusters; its run keeps the model as model.pt.
    trains_encoder : bool
        Whether `fit` with a checkpoint folder leaves an encoder, named by `encoder_`.
    image_size, train_on : str or None
        The settings that say the edge of the images in pixels (0: their own) and whether the test part is trained
        on too ("all") or not ("train"); only where the method takes images.
    """

    name: str
    title: str
    sentence: str
    module: str
    estimator: str
    kind: Literal["fast", "deep"] = "fast"
    takes: Literal["vectors", "images", "spaces"] = "vectors"
    predicts: bool = True
    noise: bool = False
    on_gpu: bool = False
    sweeps: bool = True
    starts_from_labels: bool = False
    counts_after_training: bool = False
    trains_encoder: bool = False
    image_size: str | None = None
    train_on: str | None = None

    @property
    def estimator_class(self) -> type[ClusterEstimator]:
        """Import and return the estimator."""
        estimator: type[ClusterEstimator] = getattr(import_module(self.module), self.estimator)
        return estimator

    @property
    def settings_class(self) -> type[Settings]:
        """Import and return the settings model; light even for deep methods."""
        return self.estimator_class.settings_class

    @property
    def citation(self) -> str:
        """Return what to cite, as BibTeX; empty where the method is nobody's in particular."""
        return self.estimator_class.citation

    @property
    def cut_settings(self) -> tuple[str, ...]:
        """Settings that a fitted estimator's `recut` changes at once, without another fit."""
        return self.estimator_class.cut_settings

    @property
    def counts_clusters(self) -> bool:
        """Whether the number of clusters is a setting, `n_clusters`; else the method finds it."""
        return "n_clusters" in self.settings_class.model_fields

    def n_clusters(self, settings: Settings) -> int | None:
        """Return the number of clusters that `settings` ask for, None where the method finds it."""
        number: int | None = settings.model_dump().get("n_clusters")
        return number

    def reduction(self, settings: Settings) -> str:
        """Return the space that `settings` name: "none", "pca-N" or "umap-N"."""
        return str(settings.model_dump().get("reduce", "none"))

    def image_side(self, settings: Settings) -> int:
        """Return the edge in pixels of the images that `settings` ask for, 0 for the images' own."""
        return int(settings.model_dump()[self.image_size]) if self.image_size else 0

    def trains_on_all(self, settings: Settings) -> bool:
        """Return whether `settings` ask to train on the test part too."""
        return self.train_on is not None and bool(settings.model_dump()[self.train_on] == "all")

    def sweep_grid(self, scope: SweepScope) -> Sequence[Settings]:
        """Return the settings that a sweep of this scope tries; those of a method that trains are one."""
        return self.estimator_class.sweep_grid(scope)

    def build(self, settings: Settings | None = None) -> ClusterEstimator:
        """Return a fresh estimator."""
        return self.estimator_class(settings)


_ALL = (
    Method(
        "kmeans",
        "k-means",
        "Fast and even-sized; start here when you know about how many groups there are.",
        "engine.clustering.kmeans",
        "KMeans",
        on_gpu=True,
    ),
    Method(
        "hdbscan",
        "HDBSCAN",
        "Finds dense groups of any size by itself and sets odd images aside as noise.",
        "engine.clustering.density.hdbscan",
        "HDBSCAN",
        noise=True,
    ),
    Method(
        "dbscan",
        "DBSCAN",
        "Joins images closer than one distance; everything farther apart is noise.",
        "engine.clustering.dbscan",
        "DBSCAN",
        noise=True,
    ),
    Method(
        "gaussian_mixture",
        "Gaussian mixture",
        "Like k-means with clusters of different widths, and a probability.",
        "engine.clustering.gaussian_mixture",
        "GaussianMixture",
        on_gpu=True,
    ),
    Method(
        "spectral",
        "Spectral",
        "Follows chains of neighbours, so groups may have any shape; for few clusters.",
        "engine.clustering.spectral",
        "Spectral",
    ),
    Method(
        "agglomerative",
        "Agglomerative",
        "Builds a tree of clusters that you can cut finer or coarser at once.",
        "engine.clustering.agglomerative",
        "Agglomerative",
    ),
    Method(
        "temi",
        "TEMI",
        "Learns from each image's nearest neighbours; better than k-means where those mostly agree.",
        "engine.clustering.deep.temi.estimator",
        "TEMI",
        kind="deep",
        on_gpu=True,
        starts_from_labels=True,
    ),
    Method(
        "four_term",
        "Four-term head",
        "One small network made sure, stable and balanced; a relative of TEMI.",
        "engine.clustering.deep.four_term.estimator",
        "FourTermHead",
        kind="deep",
        on_gpu=True,
        starts_from_labels=True,
    ),
    Method(
        "cludi",
        "CLUDI",
        "Samples each image's cluster several times by diffusion, so it knows how unsure it is.",
        "engine.clustering.deep.cludi.estimator",
        "CLUDI",
        kind="deep",
        on_gpu=True,
        starts_from_labels=True,
    ),
    Method(
        "cpp",
        "CPP",
        "Gives every group a subspace of its own; shows how many groups there are after training.",
        "engine.clustering.deep.cpp.estimator",
        "CPP",
        kind="deep",
        on_gpu=True,
        starts_from_labels=True,
        counts_after_training=True,
    ),
    Method(
        "turtle",
        "TURTLE",
        "Groups that a linear classifier learns best, in one encoder's embeddings or in several; above k-means where "
        "it was measured, at or below UMAP-10 + k-means.",
        "engine.clustering.deep.turtle.estimator",
        "TURTLE",
        kind="deep",
        on_gpu=True,
        takes="spaces",
        starts_from_labels=True,
    ),
    Method(
        "hadis",
        "HaDis",
        "Trains its own network, without pretrained weights: for images unlike photographs.",
        "engine.clustering.deep.hadis.estimator",
        "HaDis",
        kind="deep",
        on_gpu=True,
        takes="images",
        sweeps=False,
        trains_encoder=True,
        image_size="image_size",
        train_on="train_on",
    ),
)

METHODS: dict[str, Method] = {method.name: method for method in _ALL}
DEFAULT_METHOD = _ALL[0].name


def find_method(name: str) -> Method:
    """Return the method called `name`.

    Raises
    ------
    InputError
        Unknown name; the known ones are listed.
    """
    try:
        return METHODS[name]
    except KeyError:
        raise InputError(f"There is no clustering method {name!r}.", f"Known: {', '.join(METHODS)}.") from None


def method_title(name: str) -> str:
    """Return what the method called `name` is called on screens; its own name where it is no method of the registry."""
    return METHODS[name].title if name in METHODS else name[:1].upper() + name[1:]
