"""What the vectors' positions say before any clustering: neighbours, maps, reduced spaces, typical images.

The neighbour graph is made once for an embedding set and shared by every method, map and search.
In flow (n, d) embeddings; out come the graph, (n, 2) maps, reduced spaces and prototypes.
"""
