import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.client.errors import ConnectionLost
from wherry.client.streams import Demultiplexer, demultiplex

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8)


@given(FRAMES, st.integers(1, 9))
def test_frames_survive_any_split(frames: list[tuple[int, bytes]], size: int) -> None:
    wire = b"".join(bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data for stream, data in frames)
    pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
    for wanted in (1, 2):
        expected = b"".join(data for stream, data in frames if stream == wanted)
        assert b"".join(data for stream, data in demultiplex(pieces) if stream == wanted) == expected


def test_a_long_frame_is_given_before_it_is_complete() -> None:
    frames = Demultiplexer()
    assert list(frames.feed(b"\x01\0\0\0\0\x10\0\0begin")) == [(1, b"begin")]


def test_a_stream_without_frames_is_refused() -> None:
    with pytest.raises(ConnectionLost, match="Unrecognized input header: 72"):
        list(demultiplex([b"Hello, world"]))
