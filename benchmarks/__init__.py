"""Benchmarks: each prints a ratio against a named alternative in the same run. `python -m benchmarks.NAME`."""
