"""Where a video's packets lie in its file, which no table but the reader itself tells for sure."""

import struct

import av
import pytest

from simswap.video.source.limits import VideoLimits
from simswap.video.source.places import is_read_from
from tests.support.media.video_files import make_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("places") / "clip.mp4")


def media_of(path) -> tuple[int, int]:
    """Where the first and the last of its packets begin."""
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux() if packet.size]
    return min(places), max(places)


def test_what_is_read_is_told_from_what_is_not(clip):
    first, last = media_of(clip)
    size = clip.stat().st_size
    for spans, is_read in (
        ([(0, first)], False),
        ([(0, first + 1)], True),
        ([(last + 1, last + 2)], True),
        ([(size, size + 9)], False),
        ([], False),
        ([(0, 4), (first, first + 1)], True),
    ):
        assert is_read_from(clip, spans, VideoLimits()) is is_read


def test_it_is_told_by_reading_and_not_by_the_tables_names(clip, tmp_path):
    """The tables lie in a box whose name only the reader knows."""
    data = bytearray(clip.read_bytes())
    moov = data.index(b"moov") - 4
    (length,) = struct.unpack_from(">I", data, moov)
    content = bytes(data[moov + 8 : moov + length])
    hidden = struct.pack(">I4s", length, b"hoov") + content
    path = tmp_path / "hidden.mp4"
    path.write_bytes(bytes(data[:moov]) + hidden + bytes(data[moov + length :]))
    first, last = media_of(path)
    assert is_read_from(path, [(first, last)], VideoLimits())
    assert not is_read_from(path, [(moov, moov + length)], VideoLimits())
