"""Networks and losses of the deep methods: torch modules and pure functions, imported by `fit` only."""
