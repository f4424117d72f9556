"""Content ids in bulk keep every byte, trailing zeros too, and are found where they stand."""

import numpy as np
import pytest

from engine.core.files import content_id
from engine.core.ids import from_hex, pack, positions, to_bytes, to_hex

ODD = [b"\x00" * 16, b"\x01" + b"\x00" * 15, b"a" * 16, b"\xff" * 15 + b"\x00"]


def test_bytes_and_hex_round_trip_even_with_trailing_zeros():
    assert to_bytes(pack(ODD)) == ODD
    assert to_bytes(pack(b"".join(ODD))) == ODD
    assert to_hex(pack(ODD)) == [one.hex() for one in ODD]
    assert to_bytes(from_hex(to_hex(pack(ODD)))) == ODD
    assert to_bytes(pack(ODD)[::2]) == ODD[::2]  # not contiguous
    assert len(pack([])) == 0


def test_positions_agree_with_a_dictionary(rng):
    hay = pack(content_id(bytes([at % 256, at // 256])) for at in range(500))
    hay = hay[rng.permutation(500)]
    needles = np.concatenate([hay[rng.integers(0, 500, 200)], pack(ODD)])
    known = {one: at for at, one in enumerate(to_bytes(hay))}
    assert positions(hay, needles).tolist() == [known.get(one, -1) for one in to_bytes(needles)]


def test_of_several_equal_ids_the_first_is_found():
    hay = pack([ODD[2], ODD[0], ODD[2]])
    assert positions(hay, pack([ODD[2], ODD[1]])).tolist() == [0, -1]


def test_nothing_is_found_in_nothing():
    assert positions(pack([]), pack(ODD)).tolist() == [-1] * 4
    assert positions(pack(ODD), pack([])).tolist() == []


def test_text_that_is_no_id_is_refused():
    with pytest.raises(ValueError):
        from_hex(["zz" * 16])
