"""Equal vectors end in one cluster, whatever the method and the space it works in."""

import numpy as np
import pytest

from engine.clustering.registry import METHODS
from engine.core.errors import InputError
from engine.core.vectors import distinct_rows
from tests.engine.clustering.test_contract import small

WAYS = [
    pytest.param(method, reduce, id=f"{method.name}-{reduce}")
    for method in METHODS.values()
    if method.takes == "vectors"
    for reduce in (("none", "pca-4", "umap-10") if "reduce" in method.settings_class.model_fields else ("",))
]


def build(method, reduce, **values):
    fields = method.settings_class.model_fields
    values = {name: value for name, value in (values | {"reduce": reduce}).items() if name in fields and value != ""}
    return method.build(small(method).changed(**values))


def five_of_300():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 5, 300)
    return rng.normal(size=(5, 16)).astype(np.float32)[kinds], kinds


def two_thirds_equal():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(150, 16)).astype(np.float32)
    x[:100] = x[0]
    return x, np.r_[np.zeros(100, int), np.arange(1, 51)]


@pytest.mark.parametrize("make", [five_of_300, two_thirds_equal])
@pytest.mark.parametrize(("method", "reduce"), WAYS)
def test_equal_vectors_end_in_one_cluster(method, reduce, make):
    x, kinds = make()
    found = build(method, reduce).fit(x)
    for kind in range(5):
        assert len(set(found.labels_[kinds == kind].tolist())) == 1
        assert len(set(found.confidence_[kinds == kind].tolist())) == 1
    assert np.isfinite(found.confidence_).all()


@pytest.mark.parametrize(("method", "reduce"), [way for way in WAYS if way.values[0].kind == "fast"])
def test_more_clusters_than_distinct_images_are_fewer_and_said(method, reduce):
    x, kinds = five_of_300()
    found = build(method, reduce, n_clusters=10, min_cluster_size=5).fit(x)
    assert found.labels_.max() + 1 <= 5 and found.labels_.min() >= 0
    assert all(len(set(found.labels_[kinds == kind].tolist())) == 1 for kind in range(5))
    assert not method.counts_clusters or any("distinct images fill only" in note for note in found.notes_)


@pytest.mark.parametrize(("method", "reduce"), WAYS)
@pytest.mark.parametrize("case", ["all equal", "two images", "one cluster", "more than half"])
def test_extremes_give_a_clustering_or_a_sentence(method, reduce, case):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 16)).astype(np.float32)
    k = {"one cluster": 1, "more than half": 25}.get(case, 2)
    if case == "all equal":
        x[:] = x[0]
    elif case == "two images":
        x = x[:2]
    try:
        found = build(method, reduce, n_clusters=k).fit(x)
    except InputError as error:
        assert error.sentence
        return
    assert len(found.labels_) == len(x) and found.labels_.max(initial=-1) < k if method.counts_clusters else True


def test_distinct_rows_are_the_first_of_their_kind():
    x = np.array([[1, 2], [0, 0], [1, 2], [-0.0, 0], [3, 1]], np.float32)
    first, kind = distinct_rows(x)
    assert first.tolist() == [0, 1, 4] and kind.tolist() == [0, 1, 0, 1, 2]
    assert distinct_rows(x[[0, 1, 4]]) is None
