import numpy as np

from engine.core.ids import pack, to_bytes
from engine.embeddings.index import KeyIndex


def ids(rng, n):
    return pack(rng.bytes(16 * n))


def test_finds_every_key_and_no_other(rng):
    keys = ids(rng, 500)
    shuffled = rng.permutation(500)
    index = KeyIndex(keys)
    assert np.array_equal(index.find(keys[shuffled]), shuffled)
    assert (index.find(ids(rng, 100)) == -1).all()


def test_ids_that_share_eight_bytes_are_told_apart():
    head = b"12345678"
    keys = pack([head + b"b" * 8, head + b"a" * 8, b"\xff" * 16, head + b"\0" * 8, b"\0" * 16])
    index = KeyIndex(keys)
    assert index.find(keys).tolist() == [0, 1, 2, 3, 4]
    assert index.find(pack([head + b"c" * 8, b"\xff" * 15 + b"\xfe"])).tolist() == [-1, -1]


def test_of_equal_ids_the_first_counts(rng):
    keys = ids(rng, 20)
    doubled = pack(to_bytes(keys) + to_bytes(keys[::-1]))
    index = KeyIndex(doubled)
    assert np.array_equal(index.find(keys), np.arange(20))
    assert np.array_equal(index.distinct(), np.arange(20))


def test_empty_index_and_empty_question(rng):
    assert (KeyIndex(pack(b"")).find(ids(rng, 3)) == -1).all()
    assert len(KeyIndex(ids(rng, 3)).find(pack(b""))) == 0
