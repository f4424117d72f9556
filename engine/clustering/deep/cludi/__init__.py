"""CLUDI: clustering by diffusion; `estimator` is light, the rest is imported by `fit`."""
