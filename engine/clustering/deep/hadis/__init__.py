"""HaDis: a network trained from the images; `estimator` is light, the rest is imported by `fit`."""
