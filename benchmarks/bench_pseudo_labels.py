"""Pseudo-labels of 1.28 million images in 1,000 clusters, from embeddings to files.

The alternative in the same run is the plain way to vote: one cluster after the other.
Run: python -m benchmarks.bench_pseudo_labels
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.export.pseudo_labels import write_pseudo_labels
from engine.labels.pseudo_labels import pseudo_label

N, K, DIMENSION = 1_281_167, 1_000, 128


def plain(vectors: NDArray[np.float32], clusters: NDArray[np.int64], known: list[str], k: int = 10) -> list[str]:
    """The alternative: for each cluster find its members, its mean, the nearest, count."""
    winners = []
    for cluster in range(K):
        rows = np.flatnonzero(clusters == cluster)
        unit = vectors[rows] / np.linalg.norm(vectors[rows], axis=1, keepdims=True)
        centre = unit.mean(axis=0)
        nearest = rows[np.argsort(-(unit @ centre))[:k]]
        winners.append(Counter(known[row] for row in nearest.tolist()).most_common(1)[0][0])
    return winners


def main() -> None:
    rng = np.random.default_rng(0)
    clusters = rng.integers(0, K, N)
    vectors = rng.standard_normal((N, DIMENSION), np.float32)
    truth = [f"class {label}" for label in np.where(rng.random(N) < 0.7, clusters, rng.integers(0, K, N)).tolist()]
    contents = np.frombuffer(rng.integers(0, 256, (N, 16), dtype=np.uint8).tobytes(), "S16")
    paths = [b"train/%06d.jpg" % row for row in range(N)]
    start, used = time.perf_counter(), time.process_time()
    result = pseudo_label(vectors, clusters, truth)
    vote, busy = time.perf_counter() - start, time.process_time() - used
    start = time.perf_counter()
    winners = plain(vectors, clusters, truth)
    slow = time.perf_counter() - start
    same = np.mean([a == b for a, b in zip(result.names.decode(result.cluster_label), winners, strict=True)])
    print(f"vote of {K:,} clusters over {N:,} x {DIMENSION}: {vote:.1f} s ({busy:.1f} s of processor time);")
    print(f"  one cluster after the other {slow:.1f} s ({slow / vote:.1f} x), {same:.1%} the same winners")
    with tempfile.TemporaryDirectory() as folder:
        start, used = time.perf_counter(), time.process_time()
        written = write_pseudo_labels(Path(folder), vectors, clusters, contents=contents, paths=paths, truth=truth)
        whole, busy = time.perf_counter() - start, time.process_time() - used
        size = sum(path.stat().st_size for path in written.files) / 2**20
    print(f"with all files ({size:.0f} MiB): {whole:.1f} s ({busy:.1f} s of processor time)")


if __name__ == "__main__":
    main()
