"""Gaussian mixture by expectation and maximisation in torch: soft clusters of different widths.

Diagonal, tied and spherical covariances on the embeddings, full ones on 64 principal axes; every step is
matrix products over blocks of rows, on a GPU when there is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.clustering.base import SpaceEstimator
from engine.clustering.kmeans import assign, train_kmeans
from engine.clustering.sweep_scope import SweepScope
from engine.core.device import choose_device, free_memory, use_threads
from engine.core.errors import TrainingError
from engine.core.labels import Labels
from engine.core.progress import Progress
from engine.core.settings import Settings, setting
from engine.core.vectors import Vectors
from engine.geometry.reduce import Reduce, Space, reduce_setting

if TYPE_CHECKING:
    import torch

DOUBLE_DIMENSIONS = 128
FULL_DIMENSIONS = 64


class GaussianMixtureSettings(Settings):
    """Settings of the Gaussian mixture."""

    n_clusters: int = setting(10, "How many Gaussians to fit.", ge=1, le=1000, log=True, search=(2, 300))
    covariance_type: Literal["diag", "tied", "spherical", "full"] = setting(
        "diag", "Shape of a cluster: own widths, one shared shape, a ball, or a shape of its own (on 64 axes)."
    )
    reduce: Reduce = reduce_setting("none")
    max_iter: int = setting(50, "Rounds of expectation and maximisation at most.", ge=1, le=1000, advanced=True)
    tol: float = setting(
        1e-5, "Stops when the likelihood grows by less than this share.", ge=1e-9, le=0.1, log=True, advanced=True
    )
    regularisation: float = setting(
        1e-3, "Least variance of a cluster, as a share of the data's own.", ge=1e-6, le=1, log=True, advanced=True
    )
    random_state: int = setting(0, "Seed of the k-means start.", ge=0, le=2**31 - 1, advanced=True)
    device: str = setting("auto", "Where to compute: auto, cpu, cuda.", runtime=True, advanced=True)


class GaussianMixture(SpaceEstimator):
    """Gaussian mixture model.

    Attributes
    ----------
    labels_ : (n,) int32
        The most likely Gaussian, 0..K-1 in falling size; no noise.
    confidence_ : (n,) float32
        Its posterior probability.
    log_likelihood_ : float
        Mean per image, in the space worked in.

    Raises
    ------
    TrainingError
        By `fit`, when the likelihood is not a number.

    References
    ----------
    Dempster, Laird and Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977.
    """

    settings_class = GaussianMixtureSettings
    settings: GaussianMixtureSettings
    log_likelihood_: float

    _model: Mixture
    _filled: NDArray[np.bool_]

    @classmethod
    def sweep_grid(cls, scope: SweepScope) -> list[GaussianMixtureSettings]:
        """Return numbers of clusters with own widths; the comprehensive mode also tries one shared shape."""
        if scope.mode == "fast":
            return [GaussianMixtureSettings(n_clusters=k, max_iter=20) for k in scope.spread(4)]
        if scope.mode == "comprehensive":
            return [
                GaussianMixtureSettings(n_clusters=k, covariance_type=kind, max_iter=30)
                for kind in ("diag", "tied")
                for k in scope.spread(20)
            ]
        return [GaussianMixtureSettings(n_clusters=k, max_iter=20) for k in scope.spread(6)]

    def _resolve(self, array: Vectors) -> GaussianMixtureSettings:
        settings = self.settings
        if settings.covariance_type != "full" or settings.reduce != "none" or array.shape[1] <= FULL_DIMENSIONS:
            return settings
        self.notes_.append(f"Full covariances are fitted on {FULL_DIMENSIONS} principal axes.")
        return settings.changed(reduce=f"pca-{FULL_DIMENSIONS}")

    def _cluster(self, space: Space, progress: Progress, checkpoints: Path | None) -> tuple[Labels, Vectors]:
        import torch  # noqa: F401 - imported before its threads are set

        use_threads()
        settings = self.settings
        centers = train_kmeans(
            space.vectors,
            settings.n_clusters,
            spherical=space.spherical,
            max_iter=10,
            random_state=settings.random_state,
        )
        start, _ = assign(space.vectors, centers)
        self._model = Mixture(space.vectors, settings)
        self._model.start(space.vectors, start)
        last = -np.inf
        for round_number in range(settings.max_iter):
            likelihood = self._model.step(space.vectors)
            if not np.isfinite(likelihood):
                raise TrainingError(
                    "The Gaussian mixture broke down: its likelihood is not a number.",
                    "Ask for fewer clusters, raise the regularisation or reduce to fewer dimensions.",
                )
            progress.update(round_number + 1, settings.max_iter, phase="mixture", unit="rounds", likelihood=likelihood)
            if likelihood - last < settings.tol * abs(likelihood):
                break
            last = likelihood
        self._model.forget()
        self.log_likelihood_ = likelihood
        classes, confidence = self._model.posterior(space.vectors)
        self._filled = np.bincount(classes, minlength=settings.n_clusters) > 0
        return classes, confidence

    def _predict(self, placed: Vectors) -> Labels:
        """Return the most likely Gaussian among those that hold images."""
        return self._place[self._model.posterior(placed, self._filled)[0]]


class Mixture:
    """The parameters of a mixture and the two steps that improve them.

    Parameters
    ----------
    vectors : (n, c) float32
        Only its mean and overall variance are read here.
    settings : GaussianMixtureSettings
    """

    def __init__(self, vectors: Vectors, settings: GaussianMixtureSettings) -> None:
        import torch

        self.kind = settings.covariance_type
        self.device = choose_device(settings.device)
        small = vectors.shape[1] <= DOUBLE_DIMENSIONS and self.device != "mps"
        self.dtype = torch.float64 if small else torch.float32
        self.count, self.width = vectors.shape
        self._kept: list[tuple[slice, torch.Tensor]] | None = None
        self.k = settings.n_clusters
        self.rows = max(256, min(8192, 2**24 // max(self.k, self.width)))
        if self.kind == "full":
            self.rows = max(64, min(self.rows, 2**25 // max(1, self.k * self.width)))
        # One variance for the whole cloud, in float64: the scale that regularisation is a share of.
        self.mean = vectors.mean(axis=0, dtype=np.float64)
        power = sum(
            float(np.einsum("ij,ij->", vectors[i : i + 8192], vectors[i : i + 8192], dtype=np.float64))
            for i in range(0, self.count, 8192)
        )
        spread = power / self.count - float(self.mean @ self.mean)
        self.floor = settings.regularisation * max(spread, 1e-12) / self.width

    def _centred(self, vectors: Vectors) -> Any:  # noqa: ANN401 - blocks of slices and tensors
        """Return the blocks of the fitted rows, centred once and kept where a quarter of the memory holds them."""
        if self._kept is None:
            size = self.count * self.width * self.dtype.itemsize
            if size > free_memory(self.device) // 4:
                return self._blocks(vectors)
            self._kept = list(self._blocks(vectors))
        return self._kept

    def forget(self) -> None:
        """Let go of the rows that were fitted."""
        self._kept = None

    def _blocks(self, vectors: Vectors) -> Any:  # noqa: ANN401 - a generator of slices and tensors
        import torch

        for at in range(0, len(vectors), self.rows):
            part = np.asarray(vectors[at : at + self.rows]) - self.mean
            yield slice(at, at + len(part)), torch.as_tensor(part, dtype=self.dtype, device=self.device)

    def start(self, vectors: Vectors, labels: Labels) -> None:
        """Maximise from hard labels."""
        import torch

        sums = self._empty()
        for rows, x in self._centred(vectors):
            chosen = torch.as_tensor(labels[rows].astype(np.int64), device=self.device)
            self._gather(sums, x, torch.nn.functional.one_hot(chosen, self.k).to(self.dtype))
        self._maximise(sums)

    def step(self, vectors: Vectors) -> float:
        """Expect and maximise once; return the mean log likelihood before the step."""
        import torch

        sums = self._empty()
        total = torch.zeros((), dtype=sums[0].dtype, device=self.device)
        for _, x in self._centred(vectors):
            joint = self._joint(x)
            norm = joint.logsumexp(dim=1, keepdim=True)
            total += norm.to(total.dtype).sum()
            self._gather(sums, x, (joint - norm).exp())
        self._maximise(sums)
        return float(total) / len(vectors)

    def posterior(self, vectors: Vectors, allowed: np.ndarray[Any, Any] | None = None) -> tuple[Labels, Vectors]:
        """Return the most likely component of each row and its probability, among the allowed ones."""
        import torch

        labels, confidence = np.empty(len(vectors), np.int32), np.empty(len(vectors), np.float32)
        for rows, x in self._blocks(vectors):
            joint = self._joint(x)
            if allowed is not None:
                joint[:, torch.as_tensor(~allowed, device=self.device)] = -torch.inf
            best, where = joint.softmax(dim=1).max(dim=1)
            labels[rows], confidence[rows] = where.cpu().numpy(), best.cpu().numpy()
        return labels, confidence

    def _empty(self) -> list[torch.Tensor]:
        """Return zeroed sums of weight, x and x squared (or x xT)."""
        import torch

        kind = torch.float32 if self.device == "mps" else torch.float64
        second = {
            "diag": (self.k, self.width),
            "spherical": (self.k,),
            "tied": (self.width, self.width),
            "full": (self.k, self.width * self.width),
        }[self.kind]
        shapes: list[tuple[int, ...]] = [(self.k,), (self.k, self.width), second]
        return [torch.zeros(shape, dtype=kind, device=self.device) for shape in shapes]

    def _gather(self, sums: list[torch.Tensor], x: torch.Tensor, weight: torch.Tensor) -> None:
        sums[0] += weight.sum(dim=0)
        sums[1] += weight.T @ x
        if self.kind == "diag":
            sums[2] += weight.T @ (x * x)
        elif self.kind == "spherical":
            sums[2] += weight.T @ (x * x).sum(dim=1)
        elif self.kind == "tied":
            sums[2] += x.T @ x
        else:
            sums[2] += weight.T @ (x[:, :, None] * x[:, None, :]).flatten(1)

    def _maximise(self, sums: list[torch.Tensor]) -> None:
        """Set weights, means and the precision in the form that `_joint` multiplies with."""
        import torch

        mass, first, second = sums
        safe = mass.clamp_min(1e-6)
        mean = first / safe[:, None]
        eye = torch.eye(self.width, dtype=mean.dtype, device=self.device)
        if self.kind == "diag":
            variance = (second / safe[:, None] - mean * mean).clamp_min(self.floor)
            scale, log_scale = variance.rsqrt(), variance.log().sum(dim=1)
        elif self.kind == "spherical":
            variance = ((second / safe - (mean * mean).sum(dim=1)) / self.width).clamp_min(self.floor)
            scale, log_scale = variance.rsqrt(), self.width * variance.log()
        elif self.kind == "tied":
            covariance = (second - (mean * mass[:, None]).T @ mean) / mass.sum()
            scale, log_scale = self._whiten(covariance + self.floor * eye)
        else:
            covariance = second.view(self.k, self.width, self.width) / safe[:, None, None]
            covariance = covariance - mean[:, :, None] * mean[:, None, :]
            scale, log_scale = self._whiten(covariance + self.floor * eye)
        self.log_weight = (mass / mass.sum()).clamp_min(1e-30).log() - 0.5 * log_scale
        self.centers, self.scale = mean.to(self.dtype), scale.to(self.dtype)
        self.log_weight = (self.log_weight - 0.5 * self.width * float(np.log(2 * np.pi))).to(self.dtype)

    def _whiten(self, covariance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the inverse Cholesky factors, transposed, and the log determinants; eigenvalues floored."""
        import torch

        values, vectors = torch.linalg.eigh((covariance + covariance.mT) / 2)
        values = values.clamp_min(self.floor)
        return vectors * values.rsqrt().unsqueeze(-2), values.log().sum(dim=-1)

    def _joint(self, x: torch.Tensor) -> torch.Tensor:
        """Return (b, K) log weight + log density."""
        import torch

        if self.kind == "diag":
            precision = self.scale**2
            centers = self.centers
            square = (x * x) @ precision.T - 2 * (x @ (precision * centers).T) + (precision * centers**2).sum(dim=1)
        elif self.kind == "spherical":
            square = torch.cdist(x, self.centers).square() * self.scale**2
        elif self.kind == "tied":
            square = torch.cdist(x @ self.scale, self.centers @ self.scale).square()
        else:
            moved = torch.einsum("nd,kde->kne", x, self.scale)
            shift = torch.einsum("kd,kde->ke", self.centers, self.scale)
            square = (moved - shift[:, None]).square().sum(dim=2).T
        return self.log_weight - 0.5 * square.clamp_min(0)
