"""The twin of a cluster: the nearest other one that could be the same thing, where each is the other's nearest."""

import numpy as np
import pytest

from engine.core.vectors import unit
from engine.geometry.prototypes import prototypes
from engine.labels.around import twin_of, twins_of
from tests.engine.labels.conftest import make_contents


@pytest.fixture
def clusters(rng):
    """Vectors of nine clusters of five images, and where they belong."""
    base = np.repeat(np.arange(9), 5).astype(np.int32)
    vectors = unit((rng.normal(size=(9, 6))[base] + 0.1 * rng.normal(size=(45, 6))).astype(np.float32))
    return vectors, base


def nearest(state, centers, one, *, strange=False):
    """Written from the definition, in float64."""
    cosine, known = {}, state.find(one)
    for other in range(len(centers)):
        name = state.find(other).name
        if other == one or (min(one, other), max(one, other)) in state.apart:
            continue
        if known.name and name and (name != known.name or strange):
            continue
        cosine[other] = float(np.float64(centers[one]) @ np.float64(centers[other]))
    return max(cosine, key=cosine.get, default=None)


def test_a_twin_is_the_nearest_in_both_directions(history, clusters):
    vectors, base = clusters
    contents = make_contents(len(base))

    def state():
        return history.state(contents, base)

    found = prototypes(vectors, base)
    first = twins_of(state(), found, state().clusters)
    assert 0 < len(first) < 9, "some have a twin, not all"
    one, (other, _) = next(iter(first.items()))
    history.name(state(), {0: "cat", 1: "dog", 2: "cat", one: "owl"})
    history.apart(state(), one, other)
    now = state()
    for cluster in now.clusters:
        twin = nearest(now, found.centers, cluster.id)
        mutual = twin is not None and nearest(now, found.centers, twin, strange=True) == cluster.id
        asked = twin_of(now, found, cluster)
        assert (asked[0] if asked else None) == (twin if mutual else None)
    assert twins_of(now, found, [now.find(one)]).get(one, (None,))[0] != other, "called different"


def test_one_cluster_alone_has_no_twin(history, clusters):
    vectors, base = clusters
    base = np.zeros_like(base)
    state = history.state(make_contents(len(base)), base)
    assert twin_of(state, prototypes(vectors, base), state.clusters[0]) is None
