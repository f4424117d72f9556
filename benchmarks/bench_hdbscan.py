"""HDBSCAN on the graph beside the `hdbscan` package, 10,000 x 512 clustered vectors, no reduction.

Ours is timed given the shared k = 64 graph (its own time is printed beside: it is computed once per embedding
set and serves every method): mutual reachability, spanning tree, linkage, cut, centres. The package is timed
whole: its own neighbours, core distances, tree and cut. Processor seconds, one thread.
"""

from __future__ import annotations

import argparse

from benchmarks.clustered_vectors import clustered, median_seconds, timed
from engine.clustering.density.hdbscan import HDBSCAN, HDBSCANSettings
from engine.evaluation.agreement import ari, ari_between
from engine.geometry.neighbors import build_graph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    images = parser.parse_args().images
    import hdbscan

    x, truth = clustered(images, groups=60)
    graph_seconds, graph = timed(lambda: build_graph(x, k=64))
    settings = HDBSCANSettings(min_cluster_size=25, min_samples=5, reduce="none")
    model = HDBSCAN(settings).fit(x, neighbors=graph)
    ours = median_seconds(lambda: HDBSCAN(settings).fit(x, neighbors=graph), 5)
    recut = median_seconds(lambda: model.recut(min_cluster_size=26) and model.recut(min_cluster_size=25), 5) / 2
    package = hdbscan.HDBSCAN(min_cluster_size=25, min_samples=5, core_dist_n_jobs=1)
    theirs_seconds, theirs = timed(lambda: package.fit(x))
    print(f"hdbscan package, whole          {theirs_seconds:8.2f} s")
    print(f"ours, given the graph           {ours:8.3f} s   {theirs_seconds / ours:6.1f} x faster")
    print(f"the graph itself (k = 64)       {graph_seconds:8.2f} s")
    both = ours + graph_seconds
    print(f"ours with the graph             {both:8.2f} s   {theirs_seconds / both:6.1f} x")
    print(f"another minimum size, kept tree {recut * 1000:8.1f} ms")
    print(
        f"ARI to the package {ari_between(theirs.labels_, model.labels_):.4f}; to the planted groups: "
        f"ours {ari(truth, model.labels_):.3f}, package {ari(truth, theirs.labels_):.3f}"
    )


if __name__ == "__main__":
    main()
