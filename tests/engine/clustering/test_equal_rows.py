"""Bad input, whatever the method: equal images end in one cluster; extremes give a clustering or a sentence."""

import numpy as np
import pytest

from engine.clustering.registry import METHODS
from engine.core.errors import InputError
from engine.core.vectors import distinct_rows
from tests.engine.clustering.test_contract import small

WAYS = [
    pytest.param(method, reduce, id=f"{method.name}-{reduce}")
    for method in METHODS.values()
    for reduce in (("none", "pca-4", "umap-10") if "reduce" in method.settings_class.model_fields else ("",))
]


def build(method, reduce, **values):
    fields = method.settings_class.model_fields
    values = {name: value for name, value in (values | {"reduce": reduce}).items() if name in fields and value != ""}
    return method.build(small(method).changed(**values))


def unlike(takes, count, seed=0):
    """Return `count` rows of pure noise, of the kind that a method takes."""
    rng = np.random.default_rng(seed)
    if takes == "images":
        return rng.integers(0, 256, size=(count, 8, 8, 3), dtype=np.uint8)
    return rng.normal(size=(count, 16)).astype(np.float32)


def five_of_300(takes):
    kinds = np.random.default_rng(0).integers(0, 5, 300)
    return unlike(takes, 5)[kinds], kinds


def two_thirds_equal(takes):
    x = unlike(takes, 150, seed=1)
    x[:100] = x[0]
    return x, np.r_[np.zeros(100, int), np.arange(1, 51)]


@pytest.mark.parametrize("make", [five_of_300, two_thirds_equal])
@pytest.mark.parametrize(("method", "reduce"), WAYS)
def test_equal_vectors_end_in_one_cluster(method, reduce, make):
    x, kinds = make(method.takes)
    found = build(method, reduce).fit(x)
    for kind in range(5):
        assert len(set(found.labels_[kinds == kind].tolist())) == 1
        assert len(set(found.confidence_[kinds == kind].tolist())) == 1
    assert np.isfinite(found.confidence_).all()


@pytest.mark.parametrize(("method", "reduce"), [way for way in WAYS if way.values[0].kind == "fast"])
def test_more_clusters_than_distinct_images_are_fewer_and_said(method, reduce):
    x, kinds = five_of_300(method.takes)
    found = build(method, reduce, n_clusters=10, min_cluster_size=5).fit(x)
    assert found.labels_.max() + 1 <= 5 and found.labels_.min() >= 0
    assert all(len(set(found.labels_[kinds == kind].tolist())) == 1 for kind in range(5))
    assert not method.counts_clusters or any("distinct images fill only" in note for note in found.notes_)


@pytest.mark.parametrize(("method", "reduce"), WAYS)
@pytest.mark.parametrize(
    "case", ["all equal", "two images", "one cluster", "more than half", "all noise", "constant dimensions"]
)
def test_extremes_give_a_clustering_or_a_sentence(method, reduce, case):
    x = unlike(method.takes, 60 if case in ("all noise", "constant dimensions") else 40)
    k = {"one cluster": 1, "more than half": 25, "all noise": 3, "constant dimensions": 3}.get(case, 2)
    if case == "all equal":
        x[:] = x[0]
    elif case == "two images":
        x = x[:2]
    elif case == "constant dimensions":
        x[..., 1:] = 7
    try:
        found = build(method, reduce, n_clusters=k).fit(x)
    except InputError as error:
        assert error.sentence and case not in ("all noise", "constant dimensions")
        return
    assert len(found.labels_) == len(x) and np.isfinite(found.confidence_).all()
    assert found.labels_.min() >= (-1 if method.noise else 0)
    assert not method.counts_clusters or found.labels_.max(initial=-1) < k


@pytest.mark.parametrize("method", [one for one in METHODS.values() if one.takes == "spaces"], ids=lambda one: one.name)
def test_several_spaces_must_hold_the_same_number_of_images(method):
    x = unlike(method.takes, 60)
    with pytest.raises(InputError, match="60, 59"):
        build(method, "").fit([x, x[1:]])
    with pytest.raises(InputError, match="no space"):
        build(method, "").fit([])
    with pytest.raises(InputError):
        build(method, "").fit([x, np.full_like(x, np.nan)])
    assert len(build(method, "").fit([x, x[:, :4]]).labels_) == 60


def test_distinct_rows_are_the_first_of_their_kind():
    x = np.array([[1, 2], [0, 0], [1, 2], [-0.0, 0], [3, 1]], np.float32)
    first, kind = distinct_rows(x)
    assert first.tolist() == [0, 1, 4] and kind.tolist() == [0, 1, 0, 1, 2]
    assert distinct_rows(x[[0, 1, 4]]) is None
