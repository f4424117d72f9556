"""TURTLE: labels that linear classifiers agree on; `estimator` is light, the rest is imported by `fit`."""
