"""TEMI: clustering heads on neighbour pairs; `estimator` is light, the rest is imported by `fit`."""
