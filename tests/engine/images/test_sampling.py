"""Samples nest, do not reshuffle, hold what was forced in, and come back from sample.json unchanged."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import ids as content_ids
from engine.core.errors import InputError, StorageError
from engine.images.datasets import add_folder
from engine.images.sampling import (
    Sample,
    SampleSettings,
    draw_sample,
    forget_sample,
    in_sample,
    keep_sample,
    kept_sample,
    read_pairs,
)
from engine.images.scan import scan
from engine.images.tables import load_images
from tests.engine.images.pictures import noise, write

IDS = content_ids.pack(np.random.default_rng(1).bytes(16 * 4000))


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.integers(0, 1000))
def test_a_larger_rate_contains_the_smaller(one, two, seed):
    small, large = sorted((one, two))
    inner = in_sample(IDS[:400], SampleSettings(rate=small, random_state=seed))
    outer = in_sample(IDS[:400], SampleSettings(rate=large, random_state=seed))
    assert not (inner & ~outer).any()


def test_counts_nest_and_are_exact():
    previous = np.zeros(len(IDS), bool)
    for count in (1, 10, 500, 4000, 9000):
        mask = in_sample(IDS, SampleSettings(count=count))
        assert mask.sum() == min(count, len(IDS))
        assert not (previous & ~mask).any()
        previous = mask


def test_rate_is_about_right_and_all_is_all():
    for rate in (1, 10, 50):
        share = in_sample(IDS, SampleSettings(rate=rate)).mean()
        assert share == pytest.approx(rate / 100, abs=4 * np.sqrt(rate / 100 / len(IDS)))
    assert in_sample(IDS, SampleSettings(rate=100)).all()


def test_order_and_company_do_not_matter_but_the_seed_does():
    settings = SampleSettings(rate=30)
    mask = in_sample(IDS, settings)
    order = np.random.default_rng(2).permutation(len(IDS))
    assert np.array_equal(in_sample(IDS[order], settings), mask[order])
    assert np.array_equal(in_sample(IDS[:100], settings), mask[:100])
    assert not np.array_equal(in_sample(IDS, SampleSettings(rate=30, random_state=1)), mask)


@pytest.fixture
def dataset(workspace, tmp_path):
    root = tmp_path / "set"
    for at in range(20):
        write(root / f"{'ab'[at % 2]}" / f"{at}.png", noise(at))
    write(root / "b" / "0.png", noise(100))
    write(root / "copies" / "4.png", noise(4))
    write(root / "broken.png", b"")
    dataset = add_folder(workspace, root)
    scan(workspace, dataset.id)
    return dataset


def contents_of(workspace, dataset):
    table = load_images(workspace, dataset.id)
    return dict(zip(table.paths, content_ids.to_bytes(table.contents), strict=True)), table


def test_targets_and_pairs_are_always_in(workspace, dataset, tmp_path):
    by_path, table = contents_of(workspace, dataset)
    settings = SampleSettings(count=1)
    alone = draw_sample(workspace, dataset.id, settings)
    assert len(alone) == 1
    sample = draw_sample(
        workspace,
        dataset.id,
        settings,
        targets=["2.png", by_path[b"b/1.png"].hex(), by_path[b"b/3.png"]],
        pairs=[("a/0.png", "b/0.png"), (str(tmp_path / "set/b/5.png"), b"copies/4.png"), ("a/6.png", "gone.png")],
    )
    assert sample.targets == [by_path[name] for name in (b"a/2.png", b"b/1.png", b"b/3.png")]
    assert sample.pairs == [(by_path[b"a/0.png"], by_path[b"b/0.png"]), (by_path[b"b/5.png"], by_path[b"a/4.png"])]
    chosen = set(content_ids.to_bytes(sample.contents))
    assert chosen >= set(sample.targets) | {end for pair in sample.pairs for end in pair}
    assert chosen >= set(content_ids.to_bytes(alone.contents))
    assert by_path[b"a/6.png"] not in chosen or by_path[b"a/6.png"] in content_ids.to_bytes(alone.contents)
    assert len(sample.warnings) == 1
    assert "'gone.png'" in sample.warnings[0]
    rows = sample.rows(table.contents)
    assert np.array_equal(table.contents[rows], sample.contents)
    assert table.contents[sample.pair_rows(table.contents)].tolist() == [list(pair) for pair in sample.pairs]


def test_ambiguous_absent_and_broken_names(workspace, dataset):
    with pytest.raises(InputError, match=r"'0.png' fits 2 images: a/0.png, b/0.png"):
        draw_sample(workspace, dataset.id, SampleSettings(), targets=["0.png"])
    one_content_twice = draw_sample(workspace, dataset.id, SampleSettings(), targets=["4.png"])
    assert len(one_content_twice.targets) == 1
    for name in ("broken.png", "nothing.png", "../set/x.png", "f" * 32):
        sample = draw_sample(workspace, dataset.id, SampleSettings(), targets=[name])
        assert sample.targets == []
        assert len(sample.warnings) == 1


def test_a_rate_that_takes_nothing_is_told(workspace, dataset):
    with pytest.raises(InputError, match="is none"):
        draw_sample(workspace, dataset.id, SampleSettings(rate=0.001))


def test_adding_files_keeps_what_was_chosen(workspace, dataset, tmp_path):
    before = set(content_ids.to_bytes(draw_sample(workspace, dataset.id, SampleSettings(rate=40)).contents))
    for at in range(200, 220):
        write(tmp_path / "set" / f"{at}.png", noise(at))
    scan(workspace, dataset.id)
    after = set(content_ids.to_bytes(draw_sample(workspace, dataset.id, SampleSettings(rate=40)).contents))
    assert before <= after


def test_sample_json_round_trip(workspace, dataset, tmp_path):
    sample = draw_sample(
        workspace, dataset.id, SampleSettings(rate=50), targets=["2.png", "none.png"], pairs=[("6.png", "8.png")]
    )
    path = tmp_path / "sample.json"
    sample.save(path)
    again = Sample.load(path)
    assert again.contents.tobytes() == sample.contents.tobytes()
    assert (again.dataset, again.settings, again.total) == (sample.dataset, sample.settings, sample.total)
    assert (again.targets, again.pairs, again.warnings) == (sample.targets, sample.pairs, sample.warnings)
    assert json.loads(path.read_text())["size"] == len(sample)
    for text in ('{"version": 1}', "[]", '{"version": 99}', "{"):
        path.write_text(text)
        with pytest.raises(StorageError):
            Sample.load(path)


def test_an_unscanned_set_has_nothing_to_choose(workspace, tmp_path):
    write(tmp_path / "new" / "x.png", noise(1))
    with pytest.raises(InputError, match="Scan"):
        draw_sample(workspace, add_folder(workspace, tmp_path / "new").id, SampleSettings())


@pytest.mark.parametrize(
    "text",
    [
        "image_a,image_b\na.png,b.png\n\n c.png ,d.png\n",
        "a.png\tb.png\nc.png\td.png",
        '[["a.png","b.png"],["c.png","d.png"]]',
    ],
)
def test_pairs_are_read(tmp_path, text):
    path = tmp_path / "pairs"
    path.write_text(text)
    assert read_pairs(path) == [("a.png", "b.png"), ("c.png", "d.png")]


@pytest.mark.parametrize("text", ["a.png\n", "a,b,c\n", '[["a"]]', "[1]", "[oops", "a.png,\n"])
def test_bad_pairs_are_told(tmp_path, text):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"pairs\.csv"):
        read_pairs(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "none.csv")


def test_the_kept_sample_is_what_every_step_works_on(workspace, tmp_path):
    from engine.embeddings.encoders.registry import find_encoder
    from engine.images.datasets import remove_dataset
    from engine.jobs.tasks.data import EmbedRequest, embed_images
    from engine.runs.rows import embed_dataset, load_rows

    folder = tmp_path / "pictures"
    for number in range(12):
        write(folder / f"{number:02d}.png", noise(number, 24))
    data = add_folder(workspace, folder)
    scan(workspace, data.id)
    assert kept_sample(workspace, data.id) is None
    sample = draw_sample(workspace, data.id, SampleSettings(count=3), targets=["00.png"], pairs=[("01.png", "02.png")])
    keep_sample(workspace, sample)
    embedded = embed_images(workspace, EmbedRequest(dataset=data.id, encoder="descriptor"))
    config_key = embedded.embedding.config_key
    assert len(embedded) == len(sample) < 12
    rows = load_rows(workspace, data.id, config_key)
    assert rows.contents.tolist() == sample.contents.tolist()
    assert rows.paths[int(sample.target_rows(rows.contents)[0])] == b"00.png"
    embed_dataset(workspace, data.id, "descriptor", find_encoder("descriptor").settings_class())
    assert len(load_rows(workspace, data.id, config_key)) == len(sample)
    forget_sample(workspace, data.id)
    assert len(load_rows(workspace, data.id, config_key)) == 12
    keep_sample(workspace, sample)
    remove_dataset(workspace, data.id)
    assert kept_sample(workspace, data.id) is None
