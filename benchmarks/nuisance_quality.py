"""What removing a nuisance and looking for new kinds is worth on real photographs, and how long either takes.

The alternatives in the same run are other ways to take a nuisance out: a ridge regression's directions, iterated
nullspace projection, and LEACE. Run: python -m benchmarks.nuisance_quality times | removal PHOTOS | kinds VECTORS.npz,
where PHOTOS is a folder of class folders, and VECTORS.npz holds `vectors` and `labels`.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.core.vectors import Vectors, unit
from engine.embeddings.encoders.registry import find_encoder
from engine.embeddings.nuisance import nuisance_directions, without_directions
from engine.evaluation.agreement import nmi
from engine.evaluation.explanation import explain
from engine.evaluation.novelty import judge_new
from engine.images.decode import decode_square

Groups = NDArray[np.int64]


def bars(image: Image.Image, group: int) -> Image.Image:
    """Paint black bars over 15% of the height above and below, for group 1."""
    if group:
        high = int(0.15 * image.height)
        image.paste((0, 0, 0), (0, 0, image.width, high))
        image.paste((0, 0, 0), (0, image.height - high, image.width, image.height))
    return image


def compressed(image: Image.Image, group: int) -> Image.Image:
    """Compress as JPEG of quality 8, 30 or 95."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=(8, 30, 95)[group])
    return Image.open(file).convert("RGB")


def darkened(image: Image.Image, group: int) -> Image.Image:
    """Scale the values by .25, .6 or 1."""
    return image.point(lambda value: int(value * (0.25, 0.6, 1.0)[group]))


def _one_hot(groups: Groups) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.eye(int(groups.max()) + 1)[groups]
    return found


def _span(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    left, strengths, _ = np.linalg.svd(columns, full_matrices=False)
    found: NDArray[np.float64] = left[:, strengths > strengths[0] * 1e-3]
    return found


def ridge(vectors: Vectors, groups: Groups) -> Vectors:
    """Project out the directions of a ridge regression."""
    from sklearn.linear_model import Ridge

    span = _span(Ridge(alpha=1.0).fit(vectors, _one_hot(groups)).coef_.T)
    return unit(vectors - vectors @ span @ span.T)


def nullspace(vectors: Vectors, groups: Groups, rounds: int = 4) -> Vectors:
    """Project out the weights of a logistic regression, four times (Ravfogel et al., ACL 2020)."""
    from sklearn.linear_model import LogisticRegression

    left = vectors
    for _ in range(rounds):
        span = _span(LogisticRegression(max_iter=60).fit(left, groups).coef_.T)
        left = left - left @ span @ span.T
    return unit(left)


def leace(vectors: Vectors, groups: Groups) -> Vectors:
    """Erase by least squares (Belrose et al., NeurIPS 2023)."""
    centred = vectors - vectors.mean(axis=0)
    _, strengths, axes = np.linalg.svd(centred, full_matrices=False)
    kept = strengths > strengths[0] * 1e-3
    scale, axes = strengths[kept] / np.sqrt(len(vectors)), axes[kept]
    whiten, back = (axes.T / scale) @ axes, (axes.T * scale) @ axes
    hot = _one_hot(groups)
    span = _span(whiten @ (centred.T @ (hot - hot.mean(axis=0))))
    return unit(vectors - (centred @ whiten) @ span @ span.T @ back)


METHODS: dict[str, Callable[[Vectors, Groups], Vectors]] = {
    "as it was": lambda vectors, groups: unit(vectors),
    "mean differences, once": lambda v, g: without_directions(v, nuisance_directions(v, g, rounds=1)),
    "mean differences, twice": lambda v, g: without_directions(v, nuisance_directions(v, g, rounds=2)),
    "ridge regression": ridge,
    "nullspace, 4 rounds": nullspace,
    "LEACE": leace,
}


def removal(folder: Path) -> None:
    """Plant bars, compression and darkness on photographs, embed them, and take each out again."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score

    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    truth = np.unique([path.parent.name for path in files], return_inverse=True)[1]
    rng = np.random.default_rng(0)
    half, third = (rng.random(len(files)) < 0.5).astype(np.int64), rng.integers(0, 3, len(files))
    entry = find_encoder("photo")
    encoder = entry.build(entry.settings_class(), device="cpu")
    for name, plant, groups in (("bars", bars, half), ("compression", compressed, third), ("dark", darkened, third)):
        parts = []
        for start in range(0, len(files), 32):
            squares = []
            for path, group in zip(files[start : start + 32], groups[start : start + 32].tolist(), strict=True):
                file = io.BytesIO()
                plant(Image.open(path).convert("RGB"), group).save(file, "PNG")
                squares.append(decode_square(file.getvalue(), encoder.side))
            parts.append(encoder.encode(np.stack(squares)))
        vectors = unit(np.concatenate(parts))
        for method, take_out in METHODS.items():
            left = take_out(vectors, groups)
            found = [KMeans(10, n_init=2, random_state=seed).fit_predict(left) for seed in range(4)]
            told = np.mean([adjusted_mutual_info_score(groups, labels) for labels in found])
            kept = np.mean([nmi(truth, labels) for labels in found])
            print(f"    {name:<12} {method:<24} nuisance AMI {told:6.3f}   classes NMI {kept:.3f}", flush=True)


def kinds(path: Path) -> None:
    """Hold each class out once, cluster 70% of the others, and let the rest come."""
    from sklearn.cluster import KMeans

    with np.load(path) as given:
        vectors, truth = unit(given["vectors"]), np.unique(given["labels"], return_inverse=True)[1]
    rng, found = np.random.default_rng(0), []
    classes = int(truth.max()) + 1
    for held in range(classes):
        known = (truth != held) & (rng.random(len(truth)) < 0.7)
        labels = KMeans(classes - 1, n_init=2, random_state=0).fit_predict(vectors[known])
        judged, out = judge_new(vectors[known], labels, vectors[~known]), truth[~known] == held
        new = judged.kind >= 0
        found.append((new[out].mean() >= 0.3, new[out].mean(), new[~out].mean(), (judged.cluster[~out] >= 0).mean()))
    seen, share, wrong, fits = np.mean(found, axis=0)
    print(
        f"    {path.stem}: {seen * classes:.0f} of {classes} held-out classes found ({share:.1%} of their images); of "
        f"the other new images {wrong:.1%} taken for a new kind, {fits:.1%} fit a cluster"
    )


def times() -> None:
    """Time each step at 2,500 and at 100,000 images of 256 numbers in 12 clusters."""
    rng = np.random.default_rng(0)
    for count in (2_500, 100_000):
        clusters = rng.integers(0, 12, count)
        vectors = unit((rng.normal(size=(12, 256))[clusters] + rng.normal(size=(count, 256))).astype(np.float32))
        numbers = {f"measure {at}": rng.normal(size=count) for at in range(12)}
        words = {name: rng.integers(0, 30, count).astype(str).astype(object) for name in ("camera", "folder")}
        groups, new = rng.integers(0, 10, count), count // 50
        steps: dict[str, Callable[[], object]] = {
            "explain by 14 measures": lambda c=clusters, n=numbers, w=words: explain(c, n, w),
            "take a measure out": lambda v=vectors, g=groups: without_directions(v, nuisance_directions(v, g)),
            f"judge {new:,} new images": lambda v=vectors, c=clusters, k=new: judge_new(v[k:], c[k:], v[:k]),
        }
        for name, step in steps.items():
            began = time.perf_counter(), time.process_time()
            step()
            took, used = time.perf_counter() - began[0], time.process_time() - began[1]
            print(f"    {count:>7,} images: {name:<24} {took:6.2f} s, {used:6.2f} s of the processor", flush=True)


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["times"]
    {"times": lambda: times(), "removal": lambda: removal(Path(rest[0])), "kinds": lambda: kinds(Path(rest[0]))}[what]()
