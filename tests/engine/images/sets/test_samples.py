"""The sample sets: always the same bytes, as many of each kind, no download; a set made ready waits to be opened."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from engine.images.datasets import add_benchmark, find_dataset, list_datasets
from engine.images.decode import decode_rgb
from engine.images.sets.registry import SAMPLES, find_benchmark
from engine.images.sets.samples import MadePictures, PhotographPieces
from engine.images.sources import ReadError


@pytest.mark.parametrize(("make", "kinds", "each"), [(MadePictures, 8, 25), (PhotographPieces, 12, 16)])
def test_a_sample_set_is_even_and_its_bytes_never_change(make, kinds, each):
    source = make()
    entries = list(source.entries())
    assert sorted(Counter(entry.truth for entry in entries).values()) == [each] * kinds
    assert len({entry.name for entry in entries}) == kinds * each
    firsts = [source.read(entry.name) for entry in entries[:: each + 3]]
    assert firsts == [make().read(entry.name) for entry in entries[:: each + 3]]
    assert len(set(firsts)) == len(firsts)
    for data in firsts:
        pixels = np.asarray(decode_rgb(data))
        assert pixels.shape[2] == 3 and max(pixels.shape) <= 240 and pixels.std() > 5
    for name in (b"nothing.bmp", b"sea/25.bmp", b"../sea/00.bmp"):
        with pytest.raises(ReadError):
            source.read(name)


def test_what_the_first_screen_offers_is_not_downloaded():
    assert [find_benchmark(name).download for name in SAMPLES] == [False] * 3


def test_a_set_that_was_made_ready_is_not_listed_until_it_is_opened(workspace):
    waiting = add_benchmark(workspace, "digits", waiting=True)
    other = add_benchmark(workspace, "made-pictures")
    assert [dataset.id for dataset in list_datasets(workspace)] == [other.id]
    assert find_dataset(workspace, waiting.id).name == "Digits"
    add_benchmark(workspace, "digits", waiting=True)
    assert len(list_datasets(workspace)) == 1
    opened = add_benchmark(workspace, "digits")
    assert opened.id == waiting.id and not opened.options.get("waiting")
    assert [dataset.id for dataset in list_datasets(workspace)] == [opened.id, other.id]
    add_benchmark(workspace, "made-pictures", waiting=True)
    assert len(list_datasets(workspace)) == 2, "a listed set stays listed"
