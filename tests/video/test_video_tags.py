"""Videos of many tags, whose reading takes libav a time that grows with their number's square."""

from pathlib import Path

import pytest
from PIL import Image

from simswap.errors import MediaError
from simswap.video.metadata_label import read_video_label
from simswap.video.source.decoding import process
from simswap.video.source.info import probe_video
from simswap.video.source.looking import MAX_TAGS
from tests.support.media.video_files import make_video

SEGMENT, CLUSTER, TAGS = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\x12\x54\xc3\x67"


def element(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) | 1 << 56).to_bytes(8, "big") + body


def simple_tag(number: int) -> bytes:
    name, text = element(b"\x45\xa3", b"%x" % number), element(b"\x44\x87", b"v")
    return element(b"\x67\xc8", text + name)


def mkv_with_tags(path: Path, count: int) -> Path:
    data = make_video(path, num_frames=5, sound=None).read_bytes()
    start = data.index(SEGMENT) + 4
    body = data[start + 8 :]  # behind a length of 8 bytes
    assert data[start] == 1
    tags = element(b"\x63\xc0", b"") + b"".join(map(simple_tag, range(count)))
    added = element(TAGS, element(b"\x73\x73", tags))
    place = body.index(CLUSTER)
    path.write_bytes(data[:start] + b"\1" + b"\xff" * 7 + body[:place] + added + body[place:])
    return path


def test_a_video_of_many_tags_is_refused(tmp_path):
    path = mkv_with_tags(tmp_path / "many.mkv", MAX_TAGS + 1)
    with pytest.raises(MediaError, match=f"more than {MAX_TAGS} tags"):
        probe_video(path)
    with pytest.raises(MediaError, match=f"more than {MAX_TAGS} tags"):
        read_video_label(path)


def test_a_video_of_some_tags_is_taken(tmp_path):
    path = mkv_with_tags(tmp_path / "some.mkv", MAX_TAGS // 2)
    assert probe_video(path).num_frames == 5


def test_many_tags_of_an_mp4_are_refused(tmp_path):
    recipe = {"container_options": {"movflags": "use_metadata_tags"}, "num_frames": 2}
    path = make_video(tmp_path / "in.mp4", **recipe, tags={f"k{n}": "v" for n in range(1200)})
    with pytest.raises(MediaError, match=f"more than {MAX_TAGS} tags"):
        probe_video(path)


@pytest.mark.slow
def test_a_file_that_takes_long_to_open_is_refused(tmp_path):
    path = mkv_with_tags(tmp_path / "long.mkv", 60_000)
    with pytest.raises(MediaError, match="takes too much time when"):
        probe_video(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_no_process_is_started_for_a_photo(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(process, "_taken", None)
    Image.new("RGB", (32, 32)).save(tmp_path / "photo", kind)
    with pytest.raises(MediaError, match="but a photo"):
        probe_video(tmp_path / "photo")
