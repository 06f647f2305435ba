"""The metadata label of a video."""

import struct
from pathlib import Path

import pytest

from simswap import __version__
from simswap.errors import MediaError
from simswap.provenance import search
from simswap.provenance.metadata import COMPOSITE_WITH_MODEL
from simswap.provenance.signing import sign_video
from simswap.verify.report import verify
from simswap.video.metadata_label import read_video_label, video_metadata
from simswap.video.output.writing import Encoding
from tests.support.media.video_files import make_video, rewrite


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_a_written_video_tells_that_it_is_synthetic(tmp_path: Path, container: str):
    output = tmp_path / f"out.{container}"
    encoding = Encoding(container, preset="ultrafast")
    rewrite(
        make_video(tmp_path / "in.mp4"), output, encoding, metadata=video_metadata("simswap-224")
    )
    mark = read_video_label(output)
    assert mark.software == f"SimSwap {__version__}"
    assert mark.model == "simswap-224"
    assert mark.digital_source_type == COMPOSITE_WITH_MODEL


def test_an_ordinary_video_has_no_mark(tmp_path: Path):
    assert read_video_label(make_video(tmp_path / "in.mp4")) is None


def test_a_cameras_own_term_is_no_mark(tmp_path: Path):
    term = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    rewrite(
        make_video(tmp_path / "in.mp4"), tmp_path / "out.mp4", metadata={"comment": f"Type: {term}"}
    )
    assert read_video_label(tmp_path / "out.mp4") is None


def test_a_text_file_is_no_video(tmp_path: Path):
    (tmp_path / "letter.mp4").write_text("Dear Sir")
    with pytest.raises(MediaError, match=r"letter\.mp4 is not a video"):
        read_video_label(tmp_path / "letter.mp4")


@pytest.mark.parametrize("size", [50, 1 << 20])
def test_a_label_that_the_library_passes_over_is_found(tmp_path: Path, monkeypatch, size: int):
    monkeypatch.setattr(search, "_BLOCK", size)
    metadata = video_metadata("simswap-224")
    video = make_video(tmp_path / "in.mp4")
    label = metadata["comment"].encode() + b"\0more"
    others = [
        b"Not. Digital source type: http:",
        metadata["comment"].encode().replace(b"ia;", b"iaX;"),
    ]
    texts = b"\0".join([*others, metadata["comment"][:60].encode() + others[0], label])
    video.write_bytes(video.read_bytes() + struct.pack(">I4s", len(texts) + 8, b"free") + texts)
    mark = read_video_label(video)
    assert (mark.model, mark.digital_source_type) == ("simswap-224", COMPOSITE_WITH_MODEL)


def test_credentials_in_a_file_of_another_beginning_are_told(tmp_path: Path):
    video = make_video(tmp_path / "in.mp4")
    sign_video(video, "simswap-224", None)
    video.write_bytes(struct.pack(">I4s", 8, b"free") + video.read_bytes())
    report = verify(video)
    assert report.credentials is None
    assert (report.verdict, report.is_unread) == ("unchecked", True)
    assert "cannot be read" in report.damage
