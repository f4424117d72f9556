"""Each classical method beside scikit-learn's on the same 10,000 x 512 clustered vectors: seconds and ARI.

The shared graph is given to the methods that read it and its time is printed by itself.
Processor seconds.
"""

from __future__ import annotations

from typing import Any

from sklearn.cluster import DBSCAN as SkDBSCAN
from sklearn.cluster import KMeans as SkKMeans
from sklearn.mixture import GaussianMixture as SkMixture

from benchmarks.clustered_vectors import clustered, timed
from engine.clustering.registry import find_method
from engine.evaluation.agreement import ari
from engine.geometry.neighbors import build_graph

IMAGES, GROUPS = 10_000, 60


def main() -> None:
    x, truth = clustered(IMAGES, groups=GROUPS)
    seconds, graph = timed(lambda: build_graph(x))
    print(f"the graph (k = 64) {seconds:.2f} s")

    def ours(name: str, **values: Any) -> Any:  # noqa: ANN401
        method = find_method(name)
        return method.build(method.settings_class.parse(values)).fit(x, neighbors=graph).labels_

    eps = (
        find_method("dbscan")
        .build(find_method("dbscan").settings_class.parse({"reduce": "none"}))
        .fit(x, neighbors=graph)
        .eps_
    )
    ours("gaussian_mixture", n_clusters=2, max_iter=1)
    pairs = [
        (
            "k-means, 60",
            lambda: ours("kmeans", n_clusters=GROUPS, n_init=1),
            lambda: SkKMeans(GROUPS, n_init=1, random_state=0).fit_predict(x),
        ),
        (
            "mixture diag, 60",
            lambda: ours("gaussian_mixture", n_clusters=GROUPS, max_iter=30),
            lambda: SkMixture(GROUPS, covariance_type="diag", max_iter=30, random_state=0).fit_predict(x),
        ),
        (
            "DBSCAN, graph",
            lambda: ours("dbscan", reduce="none", eps=eps),
            lambda: SkDBSCAN(eps=eps, metric="cosine").fit_predict(x),
        ),
        (
            "DBSCAN, exact",
            lambda: ours("dbscan", reduce="none", eps=eps, mode="exact"),
            lambda: SkDBSCAN(eps=eps, metric="cosine").fit_predict(x),
        ),
        ("agglomerative, 60", lambda: ours("agglomerative", n_clusters=GROUPS), None),
        ("spectral, 60", lambda: ours("spectral", n_clusters=GROUPS), None),
    ]
    for name, mine, theirs in pairs:
        seconds, labels = timed(mine)
        line = f"{name:18} ours {seconds:6.2f} s  ARI {ari(truth, labels):.3f}"
        if theirs is not None:
            other, reference = timed(theirs)
            line += f"   scikit-learn {other:6.2f} s  ARI {ari(truth, reference):.3f}   {other / seconds:5.1f} x"
        print(line)


if __name__ == "__main__":
    main()
