"""The registry of clustering methods: adding one is one file and one line in `METHODS`.

An entry names its module; nothing heavy is imported until `settings_class` or `build` is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from engine.core.errors import InputError

if TYPE_CHECKING:
    from engine.clustering.base import ClusterEstimator
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
    takes : "embeddings" | "images"
        What `fit` is given.
    """

    name: str
    title: str
    sentence: str
    module: str
    estimator: str
    kind: Literal["fast", "deep"] = "fast"
    takes: Literal["embeddings", "images"] = "embeddings"

    @property
    def estimator_class(self) -> type[ClusterEstimator]:
        """Import and return the estimator."""
        found: type[ClusterEstimator] = getattr(import_module(self.module), self.estimator)
        return found

    @property
    def settings_class(self) -> type[Settings]:
        """Import and return the settings model; light even for deep methods."""
        found: type[Settings] = getattr(import_module(self.module), f"{self.estimator}Settings")
        return found

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
    ),
    Method(
        "hdbscan",
        "HDBSCAN",
        "Finds dense groups of any size by itself and sets odd images aside as noise.",
        "engine.clustering.density.hdbscan",
        "HDBSCAN",
    ),
    Method(
        "dbscan",
        "DBSCAN",
        "Joins images closer than one distance; everything farther apart is noise.",
        "engine.clustering.dbscan",
        "DBSCAN",
    ),
    Method(
        "gaussian_mixture",
        "Gaussian mixture",
        "Like k-means with clusters of different widths, and a probability.",
        "engine.clustering.gaussian_mixture",
        "GaussianMixture",
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
    ),
    Method(
        "four_term",
        "Four-term head",
        "One small network made sure, stable and balanced; a relative of TEMI.",
        "engine.clustering.deep.four_term.estimator",
        "FourTermHead",
        kind="deep",
    ),
    Method(
        "cludi",
        "CLUDI",
        "Samples each image's cluster several times by diffusion, so it knows how unsure it is.",
        "engine.clustering.deep.cludi.estimator",
        "CLUDI",
        kind="deep",
    ),
    Method(
        "cpp",
        "CPP",
        "Gives every group a subspace of its own; shows how many groups there are after training.",
        "engine.clustering.deep.cpp.estimator",
        "CPP",
        kind="deep",
    ),
    Method(
        "hadis",
        "HaDis",
        "Trains its own network, without pretrained weights: for images unlike photographs.",
        "engine.clustering.deep.hadis.estimator",
        "HaDis",
        kind="deep",
        takes="images",
    ),
)

METHODS: dict[str, Method] = {method.name: method for method in _ALL}


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
