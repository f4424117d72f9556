"""Benchmark sets in the formats in which they are published, one file each; `registry` lists them."""
