"""Small sets on which a classifier trains almost as well: matching methods, baselines, honest evaluation.

In flow embeddings and the labels of a run; out come a few rows for each cluster, the real images
nearest to them, and accuracies on images that were never seen.
"""
