"""The verdict: one word, its order, what is unknown, and the round trip through a file."""

import json

import pytest

from engine.evaluation.verdict import Verdict, verdict, verdict_of

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
    assert judged(0.97, 0.95, None).word == "good"


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
