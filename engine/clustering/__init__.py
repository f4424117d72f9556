"""The clustering methods, each a scikit-learn estimator over one settings model; `registry` lists them.

Fast methods are a file each, density methods share `density/`, methods that train a network share `deep/`.
In flow embeddings (or images) and the neighbour graph; out come a label and a confidence for each row.
"""
