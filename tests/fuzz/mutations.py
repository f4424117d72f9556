"""Ways to damage a file, drawn by hypothesis: bytes changed, cut, put in, taken out, moved, numbers made extreme."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from engine.core.errors import KindredError

EXTREME = [
    *(b"\x00", b"\xff", b"\x7f", b"\x80"),
    *(b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x80"),
    *(b"\xff" * 8, b"\x00" * 64, b"\xff" * 64),
    *(b'"', b"\n", b",", b"{", b"[", b"\xef\xbb\xbf", b"\xff\xfe", b"-1", b"1e999", b"NaN", b"\\u0000", b"null"),
]

_place = st.floats(0, 1, exclude_max=True)
_edit = st.one_of(
    st.tuples(st.just("set"), _place, st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("set"), _place, st.sampled_from(EXTREME)),
    st.tuples(st.just("set near the start"), _place, st.sampled_from(EXTREME)),
    st.tuples(st.just("set near the end"), _place, st.sampled_from(EXTREME)),
    st.tuples(st.just("put in"), _place, st.one_of(st.binary(min_size=1, max_size=40), st.sampled_from(EXTREME))),
    st.tuples(st.just("take out"), _place, _place),
    st.tuples(st.just("cut"), _place, st.none()),
    st.tuples(st.just("repeat"), _place, _place),
    st.tuples(st.just("flip"), _place, st.integers(0, 7)),
)
edits = st.lists(_edit, min_size=1, max_size=6)


def damaged(data: bytes, edits: list[tuple[str, float, object]]) -> bytes:
    """Return `data` after some edits."""
    for kind, place, what in edits:
        at = int(place * len(data))
        if kind == "set near the start":
            at = int(place * min(len(data), 128))
        elif kind == "set near the end":
            at = len(data) - 1 - int(place * min(len(data), 256))
        if kind.startswith("set") and isinstance(what, bytes):
            data = data[: max(at, 0)] + what + data[max(at, 0) + len(what) :]
        elif kind == "put in" and isinstance(what, bytes):
            data = data[:at] + what + data[at:]
        elif kind == "flip" and data and isinstance(what, int):
            data = data[:at] + bytes([data[at] ^ 1 << what]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif isinstance(what, float):
            end = at + int(what * (len(data) - at))
            data = data[:at] + data[end:] if kind == "take out" else data[:end] + data[at:end] + data[end:]
    return data


def read_or_refused(read: Callable[[], object]) -> str:
    """Read something; return "" or the sentence it was refused with, which must be one that a person can read."""
    try:
        read()
    except KindredError as error:
        assert error.sentence.endswith((".", "?", "!")), error.sentence
        for text in (error.sentence, error.hint):
            assert "Traceback" not in text and 'File "' not in text and "\n" not in text, text
            assert len(text) < 1000, text
        return error.sentence
    return ""
