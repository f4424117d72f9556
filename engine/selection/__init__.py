"""Finding good clusterings: the sweep, the search of a method's settings, the number of clusters, experiments.

Each tries many clusterings of the same rows and ranks them by scores that need no truth.
In flow embeddings and their graph; out come ranked boards in a folder.
"""
