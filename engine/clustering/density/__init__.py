"""Density clustering: HDBSCAN on the neighbour graph, its spanning tree and the tree of clusters that it cuts."""
