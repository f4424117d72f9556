"""Duplicates: stars instead of chains, equal pixels together, candidates without all pairs, and bad input."""

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.geometry.duplicates import IDENTICAL, SIMILAR, find_duplicates
from engine.geometry.neighbors import build_graph


def on_circle(degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def similar(vectors, similarity, rank=None):
    rank = np.arange(len(vectors)) if rank is None else rank
    graph = build_graph(vectors, device="cpu")
    return find_duplicates(rank, level="similar", graph=graph, vectors=vectors, similarity=similarity)


def test_a_chain_of_neighbours_is_not_one_group():
    vectors = on_circle(np.arange(0, 60, 5))  # each is near the next; the ends are 55 degrees apart
    near = np.cos(np.radians(6))
    found = similar(vectors, near)
    for kept, members in zip(found.kept, found.members, strict=True):
        assert (vectors[members] @ vectors[kept] >= near).all()
        assert len(members) <= 2
    everyone = np.concatenate([found.kept, *found.members])
    assert len(np.unique(everyone)) == len(everyone)


def test_the_image_of_the_best_rank_is_kept():
    vectors = on_circle([0, 1, 2, 90])
    found = similar(vectors, 0.99, rank=np.array([2, 0, 1, 3]))
    assert found.kept.tolist() == [1] and sorted(found.members[0].tolist()) == [0, 2]
    assert (found.levels[0] == SIMILAR).all()
    np.testing.assert_allclose(found.likeness[0], np.cos(np.radians(1)), atol=1e-5)


def test_every_member_is_near_the_kept_one_and_no_free_pair_is_left(rng):
    """Against a slow reference: the greedy star cover over all pairs."""
    vectors = rng.normal(size=(60, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rank = rng.permutation(60)
    found = similar(vectors, 0.95, rank)
    cosine = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    free, wanted = set(range(60)), {}
    for head in np.argsort(rank).tolist():
        if head in free:
            free.remove(head)
            star = {other for other in free if cosine[head, other] >= 0.95}
            free -= star
            if star:
                wanted[head] = star
    assert {int(k): set(m.tolist()) for k, m in zip(found.kept, found.members, strict=True)} == wanted


def test_ten_thousand_copies_are_one_group():
    pixels = np.array([b"same" + b"p" * 12] * 10_000, "S16")
    rank = np.arange(10_000)[::-1].copy()
    looks = np.tile(np.arange(32, dtype=np.uint8)[:, None] * 8, (10_000, 1, 32))
    found = find_duplicates(rank, pixels=pixels, looks=looks)
    assert found.kept.tolist() == [9_999] and len(found.members[0]) == 9_999
    assert (found.levels[0] == IDENTICAL).all()


def test_one_image_none_and_unknown_pixels_have_no_duplicate():
    assert len(find_duplicates(np.arange(1), pixels=np.array([b"x" * 16], "S16"))) == 0
    assert len(find_duplicates(np.empty(0, int))) == 0
    assert len(find_duplicates(np.arange(3), pixels=np.array([b""] * 3, "S16"))) == 0
    one = on_circle([10])
    assert len(similar(one, 0.9)) == 0


def test_similar_without_embeddings_and_other_bad_input_is_refused():
    with pytest.raises(InputError, match="found by their embeddings"):
        find_duplicates(np.arange(3), level="similar")
    with pytest.raises(InputError, match="not 'alike'"):
        find_duplicates(np.arange(3), level="alike")
    with pytest.raises(InputError, match="as many"):
        find_duplicates(np.arange(3), pixels=np.array([b"x" * 16] * 2, "S16"))
