import numpy as np
import pytest

from engine.core.errors import InputError, WeightsError
from engine.embeddings.embed import embed
from engine.embeddings.search import encoder_of, example_query, image_query, rank, text_query
from tests.engine.embeddings.conftest import TinySettings


@pytest.fixture
def vectors(rng):
    return rng.normal(size=(300, 7)).astype(np.float32)


def cosine(vectors, query):
    values = vectors.astype(np.float64)
    return values @ query / np.linalg.norm(values, axis=1) / np.linalg.norm(query)


def test_ranking_is_that_of_the_cosine(vectors, rng):
    query = rng.normal(size=7)
    rows, similarities = rank(vectors, query.astype(np.float32), 25)
    expected = cosine(vectors, query)
    assert rows.tolist() == np.argsort(-expected)[:25].tolist()
    assert np.allclose(similarities, expected[rows], atol=1e-5)


def test_ranking_does_not_depend_on_scale_and_leaves_out_what_it_should(vectors):
    query = vectors[3]
    rows, _ = rank(vectors, query, 10)
    assert rows[0] == 3
    scaled, _ = rank(vectors * np.arange(1, 301, dtype=np.float32)[:, None], query * 9, 10)
    assert np.array_equal(rows, scaled)
    without, _ = rank(vectors, query, 10, leave_out=rows[:2])
    assert np.array_equal(without[:8], rows[2:])


def test_more_than_there_are_none_and_ties():
    same = np.ones((5, 3), np.float32)
    assert rank(same, same[0], 99)[0].tolist() == [0, 1, 2, 3, 4]
    assert rank(same, same[0], 2)[0].tolist() == [0, 1]
    assert len(rank(same, same[0], 0)[0]) == 0
    assert np.array_equal(rank(np.zeros((2, 3), np.float32), same[0], 2)[1], [0, 0])


def test_more_like_these_less_like_those():
    east, north, west = np.eye(3, dtype=np.float32)[0], np.eye(3, dtype=np.float32)[1], -np.eye(3, dtype=np.float32)[0]
    query = example_query(np.stack([east, north]), np.stack([north]))
    assert query @ east > query @ north and np.isclose(np.linalg.norm(query), 1)
    assert np.allclose(example_query(np.empty((0, 3), np.float32), east[None]), west)
    refined = example_query(north[None], start=east)
    assert np.isclose(refined @ east, refined @ north)
    with pytest.raises(InputError, match="no examples"):
        example_query(np.empty((0, 3), np.float32))


def test_a_pasted_image_finds_itself(workspace, tiny, added, pictures):
    found = embed(workspace, added(8).id, "tiny", TinySettings())
    encoder = encoder_of(workspace, found.config_key, device="cpu")
    query = image_query(encoder, (pictures(0) / "0005.png").read_bytes())
    assert rank(found.vectors, query, 1)[0].tolist() == [5]


def test_words_need_an_encoder_that_knows_them(tiny):
    class Speaking:
        def encode_text(self, texts):
            return np.array([[3.0, 0.0], [0.0, 2.0]], np.float32)[: len(texts)]

    assert np.allclose(text_query(Speaking(), ["a dog", "  "]), [1, 0])
    assert np.allclose(text_query(Speaking(), ["a dog", "a cat"]), np.sqrt([0.5, 0.5]))
    with pytest.raises(InputError, match="no words"):
        text_query(Speaking(), [" "])
    with pytest.raises(InputError, match="does not know words"):
        text_query(tiny(TinySettings()), ["dog"])


def test_weights_that_changed_do_not_answer_for_the_old_vectors(workspace, tiny, added):
    found = embed(workspace, added(2).id, "tiny", TinySettings())
    tiny.version = "tiny-2"
    with pytest.raises(WeightsError, match="do not compare"):
        encoder_of(workspace, found.config_key)
    with pytest.raises(InputError, match="not in the cache"):
        encoder_of(workspace, "0" * 32)
