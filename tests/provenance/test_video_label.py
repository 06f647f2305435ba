"""The metadata label of a video."""

from pathlib import Path

import pytest

from simswap import __version__
from simswap.errors import MediaError
from simswap.provenance.metadata import COMPOSITE_WITH_MODEL
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
