"""The sweep: a grid of candidates, workers that cluster and score them, the ranking and the files of the board."""
