"""The four-term head; `estimator` is light, the rest is imported by `fit`."""
