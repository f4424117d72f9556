"""A sweep that may not embed takes the embeddings that an earlier one made of the same sample."""

from __future__ import annotations

from tests.seed import coloured_pictures

QUICK = ("--algorithms", "kmeans", "--max-combinations", 2, "--no-stability", "--n-jobs", 1)


def test_a_samples_own_embeddings_are_complete_for_it_and_for_no_more(engine, refused, tmp_path):
    words = ("sweep", "--folder", coloured_pictures(tmp_path / "pictures"), *QUICK)
    first = engine(*words, "--dataset-sample", 50)
    assert first.status == 0, first.err
    again = engine(*words, "--skip-embeddings", "--dataset-sample", 50)
    assert (again.status, again.last) == (0, first.last), again.err
    assert "do not hold every image" in refused(*words, "--skip-embeddings", "--dataset-sample", 90)
