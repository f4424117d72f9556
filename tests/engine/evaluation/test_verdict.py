"""The verdict: one word, its order, what is unknown, and the round trip through a file."""

import json

import pytest

from engine.evaluation.verdict import Verdict, verdict, verdict_of, with_missing, with_two_kinds

ORDER = ("weak", "usable with checking", "good")


def judged(stability, generalisation, agreement, structured=True):
    return verdict(structured=structured, stability=stability, generalisation=generalisation, agreement=agreement)


def test_clear_cases():
    assert judged(0.97, 0.95, 0.8).word == "good"
    assert judged(0.8, 0.85, 0.45).word == "usable with checking"
    weak = judged(0.4, 0.6, 0.3)
    assert weak.word == "weak" and "hardly more alike inside than outside" in weak.line
    assert "Another encoder would help" in weak.next_step


def test_nothing_without_structure_is_better_than_weak():
    assert judged(1.0, 1.0, 1.0, structured=False).word == "weak"
    assert judged(None, None, None, structured=False).word == "weak"


def test_what_was_not_measured_is_not_judged():
    assert judged(None, 0.9, 0.9) is None and judged(0.9, None, 0.9) is None
    alone = judged(0.97, 0.95, None)
    assert alone.word == "good" and "other ways" not in alone.sentence
    assert "other ways to cluster find nearly the same" in judged(0.97, 0.95, 0.8).sentence


@pytest.mark.parametrize("name", range(3))
def test_more_evidence_never_makes_a_verdict_worse(name):
    for steps in range(10):
        values = [0.9, 0.9, 0.9]
        words = []
        for value in range(11):
            values[name] = value / 10
            values[(name + 1) % 3] = steps / 9
            words.append(ORDER.index(judged(*values).word))
        assert words == sorted(words)


def test_a_verdict_comes_back_from_a_file():
    found = judged(0.9, 0.9, 0.9)
    assert verdict_of(json.loads(json.dumps({"verdict": found.as_dict()}))) == found
    for damaged in ({}, {"verdict": None}, {"verdict": "good"}, {"verdict": {"word": "good"}}):
        assert verdict_of(damaged) is None
    assert found.line.startswith("Good: ") and isinstance(found, Verdict)


def test_good_promises_no_more_than_groups_that_hold_together():
    assert "does not tell whether each holds only one kind" in judged(0.97, 0.95, 0.8).line


def test_what_is_missing_is_said_and_not_guessed():
    silent = with_missing(None, ("It would train twice more.",))
    assert silent.word == "not judged" and "It would train twice more." in silent.line
    weak = with_missing(judged(0.9, 0.9, 0.1), ("One figure is missing.",))
    assert weak.word == "weak" and weak.sentence.endswith("One figure is missing.")


def test_clusters_that_look_like_two_kinds_are_named():
    found = with_two_kinds(judged(0.97, 0.95, 0.8), (2, 5, 9), 13)
    assert found.word == "good" and "3 of 13 clusters look like two kinds: 2, 5, 9." in found.sentence
    assert "1 of 4 clusters looks like two kinds: 0." in with_two_kinds(found, (0,), 4).sentence
    assert with_two_kinds(found, (), 13) == found
