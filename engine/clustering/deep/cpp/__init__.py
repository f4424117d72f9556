"""CPP: clustering by rate reduction; `estimator` is light, the rest is imported by `fit`."""
