import numpy as np
import pytest

from engine.core.ids import IdIndex, pack, to_bytes


def ids(rng, n):
    return pack(rng.bytes(16 * n))


def test_finds_every_key_and_no_other(rng):
    keys = ids(rng, 500)
    shuffled = rng.permutation(500)
    index = IdIndex(keys)
    assert np.array_equal(index.find(keys[shuffled]), shuffled)
    assert (index.find(ids(rng, 100)) == -1).all()


def test_ids_that_share_eight_bytes_are_told_apart():
    head = b"12345678"
    keys = pack([head + b"b" * 8, head + b"a" * 8, b"\xff" * 16, head + b"\0" * 8, b"\0" * 16])
    index = IdIndex(keys)
    assert index.find(keys).tolist() == [0, 1, 2, 3, 4]
    assert index.find(pack([head + b"c" * 8, b"\xff" * 15 + b"\xfe"])).tolist() == [-1, -1]


def test_of_equal_ids_the_first_counts(rng):
    keys = ids(rng, 20)
    doubled = pack(to_bytes(keys) + to_bytes(keys[::-1]))
    index = IdIndex(doubled)
    assert np.array_equal(index.find(keys), np.arange(20))
    assert np.array_equal(index.distinct(), np.arange(20))


def test_empty_index_and_empty_question(rng):
    assert (IdIndex(pack(b"")).find(ids(rng, 3)) == -1).all()
    assert len(IdIndex(ids(rng, 3)).find(pack(b""))) == 0


@pytest.mark.parametrize("spread", [True, False])
def test_many_questions_are_answered_as_one(rng, spread):
    numbers = rng.permutation(5000).astype(">u8")
    keys = ids(rng, 5000) if spread else pack(np.stack([numbers, numbers], axis=1).tobytes())
    index, strangers = IdIndex(keys), ids(rng, 100)
    for start in range(0, 5000, 500):
        assert np.array_equal(index.find(keys[start : start + 500]), np.arange(start, start + 500))
        assert (index.find(strangers) == -1).all()
