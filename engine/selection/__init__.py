"""Finding good clusterings: the sweep, hyper-parameter search, the number of clusters, experiments."""
