"""Cluster names from a synthetic text-image space: right names, abstention, and the false naming rate."""

from __future__ import annotations

import numpy as np
import pytest

from engine.core.errors import InputError
from engine.labels.naming import (
    NO_NAME,
    common_nouns,
    name_clusters,
    parse_vocabulary,
    prompts,
    word_votes,
)


def text_image_space(rng, *, n_words=60, n_classes=8, per_class=60, dimension=64):
    """Words at random on a sphere; images near their class's word, behind a common offset as in CLIP."""
    texts = rng.normal(size=(n_words, dimension)).astype(np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    truth = np.repeat(np.arange(n_classes), per_class)
    images = 0.35 * texts[truth] + 0.12 * rng.normal(size=(len(truth), dimension))
    images += 0.04 * rng.normal(size=dimension)
    return images.astype(np.float32), texts, [f"word{i}" for i in range(n_words)], truth.astype(np.int32)


def test_votes_are_the_largest_softmax_values(rng):
    images, texts, _, _ = text_image_space(rng)
    words, votes = word_votes(images[:20], texts)
    x = images[:20].astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    logits = 100 * x @ texts.astype(np.float64).T
    full = np.exp(logits - logits.max(1, keepdims=True))
    full /= full.sum(1, keepdims=True)
    for row in range(20):
        expected = np.sort(full[row])[::-1][:5]
        order = np.argsort(-votes[row])
        np.testing.assert_allclose(votes[row][order], expected, rtol=2e-4, atol=1e-7)
        np.testing.assert_allclose(full[row][words[row]], votes[row], rtol=2e-4, atol=1e-7)


def test_pure_clusters_get_their_word_and_three_alternates(rng):
    images, texts, words, truth = text_image_space(rng)
    found = name_clusters(images, texts, words, truth)
    assert [proposal.name for proposal in found] == [f"word{i}" for i in range(8)]
    for proposal in found:
        assert proposal.size == 60 and len(proposal.alternates) == 3
        scores = [proposal.score, *(score for _, score in proposal.alternates)]
        assert scores == sorted(scores, reverse=True) and 0 < scores[0] <= 1
        assert proposal.word not in [word for word, _ in proposal.alternates]


def test_random_groups_are_named_at_the_rate_asked_for(rng):
    images, texts, words, truth = text_image_space(rng, n_classes=12, per_class=50)
    named, trials = 0, 0
    for seed in range(25):
        labels = rng.permutation(np.repeat(np.arange(20), 30)).astype(np.int32)
        found = name_clusters(images, texts, words, labels, n_random=99, random_state=seed)
        named += sum(proposal.reliable for proposal in found)
        trials += len(found)
    assert trials == 500
    assert named / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_everything_in_one_cluster_has_no_reliable_name(rng):
    images, texts, words, truth = text_image_space(rng)
    (only,) = name_clusters(images, texts, words, np.zeros(len(images), np.int32))
    assert only.name == NO_NAME and only.chance == 1.0 and only.word


def test_noise_is_left_out_and_cluster_numbers_are_kept(rng):
    images, texts, words, truth = text_image_space(rng)
    labels = np.where(truth == 3, 17, -1).astype(np.int32)
    (only,) = name_clusters(images, texts, words, labels)
    assert (only.cluster, only.size, only.name) == (17, 60, "word3")


def test_same_seed_same_proposals(rng):
    images, texts, words, truth = text_image_space(rng)
    mixed = np.roll(truth, 25)
    assert name_clusters(images, texts, words, mixed) == name_clusters(images, texts, words, mixed)


def test_a_vocabulary_smaller_than_five_words_still_works(rng):
    images, texts, words, truth = text_image_space(rng)
    found = name_clusters(images, texts[:3], words[:3], truth)
    assert len(found[0].alternates) == 2 and found[0].name == "word0"


def test_bundled_nouns_are_many_distinct_and_plain():
    nouns = common_nouns()
    assert len(nouns) >= 1000 and len({noun.casefold() for noun in nouns}) == len(nouns)
    assert {"dog", "bicycle", "strawberry", "hand"} <= set(nouns)
    assert prompts(["dog"]) == ["a photo of a dog"]


def test_a_persons_list_is_cleaned_in_its_order():
    assert parse_vocabulary(" dog \n\ncat, Dog,  sea   lion\n") == ["dog", "cat", "sea lion"]
    with pytest.raises(InputError, match="two different words"):
        parse_vocabulary("dog\nDOG\n")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"texts": np.ones((5, 7), np.float32), "words": list("abcde")}, "do not belong together"),
        ({"words": ["a"]}, "each word needs one"),
        ({"labels": np.zeros(3, np.int32)}, "3 labels for"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(rng, change, match):
    images, texts, words, truth = text_image_space(rng)
    values = {"images": images, "texts": texts, "words": words, "labels": truth} | change
    with pytest.raises(InputError, match=match):
        name_clusters(**values)
