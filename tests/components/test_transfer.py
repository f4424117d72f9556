"""Arrays arrive in the browser as they left: layout, alignment, and nothing packed twice."""

from __future__ import annotations

import json

import numpy as np
import pytest

from components import transfer


def unpack(raw: bytes):
    """Read the layout back the way channel/src/unpack.ts does."""
    assert raw[:4] == b"KDR1"
    length = int.from_bytes(raw[4:8], "little")
    header = json.loads(raw[8 : 8 + length])
    arrays = {
        name: np.frombuffer(raw, dtype=dtype, offset=8 + length + offset, count=count)
        for name, (dtype, offset, count) in header.pop("arrays").items()
    }
    return header, arrays, length


def test_pack_keeps_values_and_aligns_every_array_to_eight_bytes(rng):
    given = {
        "bits": rng.integers(0, 255, 3).astype(np.uint8),
        "ids": rng.integers(0, 2**31 - 1, 5).astype(np.int32),
        "xy": rng.normal(size=7).astype(np.float32),
        "codes": np.array([65535], dtype=np.uint16),
        "none": np.empty(0, dtype=np.uint32),
    }
    raw = transfer.pack({"channel": "é:ids", "version": "1"}, given)
    header, arrays, length = unpack(raw)
    assert header == {"channel": "é:ids", "version": "1"}
    assert (8 + length) % 8 == 0 and len(raw) % 8 == 0
    for name, array in given.items():
        assert np.array_equal(arrays[name], array) and arrays[name].dtype == array.dtype


def test_pack_copes_with_strides_and_foreign_byte_order():
    values = np.arange(10, dtype=">i4")[::2]
    _header, arrays, _length = unpack(transfer.pack({}, {"ids": values.astype(np.dtype(">i4"))}))
    assert arrays["ids"].tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 2), np.float32), np.array(["a"])])
def test_pack_refuses_what_the_browser_cannot_view(array):
    with pytest.raises(ValueError, match="must be 1-D"):
        transfer.pack({}, {"x": array})


def test_an_array_without_a_version_is_known_by_its_content():
    one, two = np.array([1, 2], dtype=np.uint8), np.array([2, 1], dtype=np.uint8)
    assert transfer.version_of(one, "") == transfer.version_of(one.copy(), "") != transfer.version_of(two, "")
    assert transfer.version_of(one, "a") == transfer.version_of(two, "a") != transfer.version_of(one, "b")
    assert transfer.version_of(None, "a") == ""
    assert transfer.version_of(np.array([True, False]), "") != ""
