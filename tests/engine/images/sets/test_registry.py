"""The registry of benchmark sets, and the one that is always there."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from engine.core.errors import InputError
from engine.images.arrays import bmp
from engine.images.datasets import open_source
from engine.images.decode import decode_rgb
from engine.images.sets.registry import BENCHMARKS, find_benchmark
from engine.images.sources import ReadError


def test_digits_round_trip_is_exact():
    truth = load_digits()
    source = open_source("benchmark", b"digits", {})
    entries = list(source.entries())
    assert [entry.truth for entry in entries] == [str(digit) for digit in truth.target]
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {entry.split for entry in entries} == {""}
    for at in (0, 7, 1796):
        pixels = np.asarray(decode_rgb(source.read(entries[at].name)))
        assert pixels.shape == (8, 8, 3)
        assert np.array_equal(np.rint(pixels[..., 0] / 255 * 16), truth.images[at])
    for name in (b"1797.bmp", b"-1.bmp", b"../0001.bmp", b"x"):
        with pytest.raises(ReadError):
            source.read(name)


def test_registry_is_consistent():
    assert next(iter(BENCHMARKS)) == "digits"
    for name, entry in BENCHMARKS.items():
        assert entry.name == name
        assert entry.classes > 1
        assert entry.sentence.endswith(".")
        assert name == name.lower()
    with pytest.raises(InputError, match="no benchmark set"):
        find_benchmark("nothing")


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 4, 3), (5, 7, 3), (2, 1, 3)])
def test_bmp_is_exact_and_its_bytes_never_change(shape, rng):
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    found = np.asarray(decode_rgb(bmp(pixels)))
    assert np.array_equal(found, pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2))


def test_bmp_bytes_are_fixed():
    assert bmp(np.array([[[1, 2, 3]]], np.uint8)).hex() == (
        "424d3a0000000000000036000000280000000100000001000000010018000000000004000000130b0000130b0000000000000000000003020100"
    )
