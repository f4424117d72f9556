"""Benchmark sets in the formats in which they are published, one file each; `engine.images.sets.registry` lists them."""
