"""Exact cosine silhouette of 50,000 x 512 vectors beside scikit-learn's (measured on 8,000, quadratic in n).

Processor seconds."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import silhouette_score

from benchmarks.clustered_vectors import clustered, median_seconds, timed
from engine.evaluation.scores import scores, silhouette


def main() -> None:
    x, labels = clustered(50_000)
    few, few_labels = x[:8000], labels[:8000]
    for k in (50, 240):
        ours = median_seconds(lambda k=k: silhouette(x, labels % k))
        print(f"ours, 50,000 x 512, {k:3d} clusters   {ours:6.2f} s")
    seconds, theirs = timed(lambda: silhouette_score(few, few_labels, metric="cosine"))
    same = silhouette(few, few_labels)
    print(
        f"scikit-learn, 8,000: {seconds:.2f} s; at 50,000 (x (50/8)^2) about {seconds * (50 / 8) ** 2:.0f} s, "
        f"{seconds * (50 / 8) ** 2 / ours:.0f} x ours"
    )
    print(f"the two differ by {abs(same - theirs):.1e} on the 8,000")
    rng = np.random.default_rng(0)
    truth = rng.integers(1000, size=1_280_000)
    found = np.where(rng.random(len(truth)) < 0.6, truth, rng.integers(1000, size=len(truth)))
    print(f"all label scores of 1,280,000 x 1,000 clusters {median_seconds(lambda: scores(None, found, truth)):.2f} s")


if __name__ == "__main__":
    main()
